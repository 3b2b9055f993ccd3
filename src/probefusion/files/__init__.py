"""Files: paths checked, files written whole or not at all, containers read without trusting them."""

from __future__ import annotations

from probefusion.files.containers import optional_text, read_npz, write_npz
from probefusion.files.hashed_json import renew_hash
from probefusion.files.paths import (
    as_path,
    check_ending,
    check_existing,
    check_file,
    check_name,
    check_not_input,
    check_output,
    check_output_file,
    lfs_oid,
    try_to_write,
)
from probefusion.files.places import bundled_folder, home_path
from probefusion.files.replacing import (
    DRAFT_PREFIX,
    making_folders,
    replace_at_once,
    replace_file,
    replace_folder,
    replace_folder_content,
    replace_together,
    sha256_of,
)

__all__ = [
    "DRAFT_PREFIX",
    "as_path",
    "bundled_folder",
    "check_ending",
    "check_existing",
    "check_file",
    "check_name",
    "check_not_input",
    "check_output",
    "check_output_file",
    "home_path",
    "lfs_oid",
    "making_folders",
    "optional_text",
    "read_npz",
    "renew_hash",
    "replace_at_once",
    "replace_file",
    "replace_folder",
    "replace_folder_content",
    "replace_together",
    "sha256_of",
    "try_to_write",
    "write_npz",
]
