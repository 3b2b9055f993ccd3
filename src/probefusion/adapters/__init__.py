"""From the faces other packages find to embedding sets, so that people keep their pipeline.

Nothing of these packages is imported: their objects are read by the names of their attributes.
"""

from __future__ import annotations

from probefusion.adapters.from_others import (
    from_deepface,
    from_face_recognition,
    from_insightface,
    from_uniface,
)

__all__ = ["from_deepface", "from_face_recognition", "from_insightface", "from_uniface"]
