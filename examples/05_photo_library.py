"""A photo library: who is on which photo.

Needs `people` (a folder of photos per person), `photos`, and the detector:
`probefusion models pull yunet_2023mar`.
"""

from pathlib import Path

import probefusion as pf

faces = pf.Pipeline(detector="yunet_2023mar")  # embedder and fuser: the defaults
library = pf.TemplateSet.of(
    {person.name: faces.fuse(person).template for person in Path("people").iterdir()}
)
for photo in sorted(Path("photos").rglob("*.jpg")):
    for face in faces.find(photo):  # every face of a group photo
        found = {name: face.template.similarity(library[name]) for name in library}
        best = max(found, key=found.__getitem__)
        print(photo, face.box, best, round(found[best], 3))
