"""A cloud that is a folder, made by the real tool: what `TofuCloud` is tried on where no cloud can be had.

Each resource is a `terraform_data` whose provisioners call `module/cloud.sh`, which writes and removes a JSON file.
"""

from .cloud import FilesCloud, files_manifest

__all__ = ["FilesCloud", "files_manifest"]
