"""States: images that come later are added, images can be taken out again.

Needs the folder that `probefusion demo --crops people` makes.
"""

import probefusion as pf

images = pf.Pipeline(aligned=True).embed("people/person-1").embedding_set
fuser = pf.load_fuser("exact", embedder=images.embedder)

monday, tuesday = fuser.encode(images[:2]), fuser.encode(images[2:])
both = monday + tuesday
both.save("person-1.safetensors", force=True)  # or both.to_bytes(), for a database

at_once = fuser.fuse(images)
print("one by one and all at once:", fuser.finish(both).similarity(at_once))
print("images after taking Monday's out:", (both - monday).num_images)
