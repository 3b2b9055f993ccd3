"""Training of a compact embedder: it learns to see what a larger one sees, in good and poor images.

Each training face is an image of one person or a chimera of two. The teacher embeds it clean; the
pupil sees it mildly changed, and a share of the faces once more, degraded, and is to give the
teacher's unit embedding every time. The squared error is least where the pupil gives the mean of
what the face could be, so the length of its embedding tells how sure it is. The mildly changed view
is also compared with the teacher's maps, and all views by their similarities to the training people.
"""

from probefusion.training.distillation.batches import FaceBatches, Teacher
from probefusion.training.distillation.distiller import Distiller, read_state
from probefusion.training.distillation.settings import DistillationSettings, PoorTarget

__all__ = [
    "DistillationSettings",
    "Distiller",
    "FaceBatches",
    "PoorTarget",
    "Teacher",
    "read_state",
]
