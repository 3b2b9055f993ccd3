"""A fuser for an embedder of your own.

Needs `faces.zip` (aligned crops, a folder per person) and `mine.onnx`, and minutes to an hour.
"""

import probefusion as pf

fuser = pf.train(
    "faces.zip", embedder="mine.onnx", output="mine", architecture="exact", margin_weight=0.1
)
print(fuser.name)
