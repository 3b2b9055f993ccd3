"""Crops of one person to a template: weights of the images, and a comparison with another person.

Needs the folder that `probefusion demo --crops people` makes.
"""

import probefusion as pf

crops = pf.Pipeline(aligned=True)  # embedder and fuser: the ones inside the package

one = crops.fuse("people/person-1")
print(one)
for image in one.explain():
    print(f"  {image.source}: weight {image.weight:.3f}, similarity {image.similarity:.3f}")

two = crops.fuse("people/person-2")
print(f"one and two: {one.template.similarity(two.template):.3f}")

one.template.save("person-1.npz", force=True)
