"""A camera: events while the stream runs, in memory that does not grow.

Needs a camera or stream, `staff` (a folder of photos per person), and the detector:
`probefusion models pull yunet_2023mar`. Stop it with Ctrl-C.
"""

import probefusion as pf

faces = pf.Pipeline(detector="yunet_2023mar")
for event in faces.watch("rtsp://door", gallery="staff"):  # while the stream runs
    if event.kind == "left":
        print(event.person.first_time, event.match, event.person.num_images)
