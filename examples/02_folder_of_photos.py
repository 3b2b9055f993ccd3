"""Photos of one person to a template. The largest face of each photo is taken.

Needs a folder `photos`, and the detector: `probefusion models pull yunet_2023mar`.
"""

import probefusion as pf

faces = pf.Pipeline(detector="yunet_2023mar")
person = faces.fuse("photos")

print(person.num_images, "photos used")
for skipped in person.skipped:
    print("skipped:", skipped.source, skipped.reason)
for note in person.notes:  # photos that are turned, or show several people
    print(note)

person.template.save("template.npz", force=True)
