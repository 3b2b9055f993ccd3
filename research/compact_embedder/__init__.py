"""Training of a compact embedder: it learns to see what a larger one sees, in good and poor images.

Each training face is an image of one person or a chimera of two. The teacher embeds it clean; the
pupil sees it mildly changed, and a share of the faces once more, degraded, and is to give the
teacher's unit embedding of the clean face every time, or, of the degraded one, what the teacher makes
of that very image. The squared error is least where the pupil gives the mean of what the face could be,
so the length of its embedding tells how sure it is. Views that the teacher has seen are also compared
with its maps, and all views by their similarities to the training people.
"""

from research.compact_embedder.batches import FaceBatches, Teacher
from research.compact_embedder.distiller import Distiller
from research.compact_embedder.settings import DistillationSettings, PoorTarget
from research.compact_embedder.states import blend_states, read_state

__all__ = [
    "DistillationSettings",
    "Distiller",
    "FaceBatches",
    "PoorTarget",
    "Teacher",
    "blend_states",
    "read_state",
]
