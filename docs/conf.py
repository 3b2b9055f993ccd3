"""Settings of the documentation site: Sphinx, MyST and furo, built without network."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "_ext"))

from probefusion.version import __version__

project = "probefusion"
author = "The probefusion developers"
copyright = author  # noqa: A001 - Sphinx asks for this name
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "probefusion_reference",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

myst_enable_extensions = ["deflist", "colon_fence", "attrs_inline"]
myst_heading_anchors = 3
default_role = "literal"  # `name` in a docstring is a name, nothing else

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

# Types in signatures: those of others have no page here, and own ones that are not public have none
# either. Links that pages make themselves are `py:obj` and are all checked.
nitpick_ignore_regex = [(r"py:class", r".*")]

html_theme = "furo"
html_title = "probefusion"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"source_repository": "", "navigation_with_keys": False}
