"""stub"""

from probefusion.screening.known import CAUTIOUS, expectation_for as expectation_of_images

NORMS = {"mobilefacenet_128d": 13.4, "compact_128d": 0.77}
