"""Crops of one person to a template: weights of the images, and a comparison with another person.

Needs the folder that `probefusion demo --crops people` makes.
"""

import probefusion as pf

crops = pf.Pipeline(aligned=True)  # embedder and fuser: the ones inside the package

anna = crops.fuse("people/anna")
print(anna)
for image in anna.explain():
    print(f"  {image.source}: weight {image.weight:.3f}, similarity {image.similarity:.3f}")

ben = crops.fuse("people/ben")
print(f"anna and ben: {anna.template.similarity(ben.template):.3f}")

anna.template.save("anna.npz", force=True)
