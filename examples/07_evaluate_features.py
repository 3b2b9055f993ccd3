"""IJB-C from the features that everybody in this field has, no image embedded again.

Needs your licensed copy of IJB-C and an .npy file with a feature per image, in the order of the
lines of `meta/ijbc_name_5pts_score.txt`. `mine` is a fuser folder for the embedder that made the features, trained
without style, which features do not have: the next example, with `without=["style"]`. It takes only
features that are said to be of that embedder.
"""

import probefusion as pf

report = pf.evaluate(
    "ijbc",
    "IJBC",
    fusers=["mean", "norm-weighted", "mine/"],
    embeddings="ijbc_r100.npy",
    embedder="mine.onnx",  # what made the features
    chunks=[4, 32],
)
print(report.tar(far=1e-4))
report.save("out")
