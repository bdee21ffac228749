"""The addresses of the project, for the package's metadata: those of the repository that a release is built in.

Called by hatchling when it builds the package. GitHub Actions says which repository it works for; elsewhere no address is known
and none is claimed. It may not read anything but the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


def project_urls(environment: Mapping[str, str]) -> dict[str, str]:
    """Label → address, empty where the repository is not known."""
    server, repository = environment.get("GITHUB_SERVER_URL"), environment.get("GITHUB_REPOSITORY")
    if not server or not repository:
        return {}
    source = f"{server}/{repository}"
    return {
        "Source": source,
        "Documentation": f"{source}/tree/main/docs",
        "Issues": f"{source}/issues",
        "Changelog": f"{source}/blob/main/CHANGELOG.md",
    }


class ProjectUrls(MetadataHookInterface):
    """What hatchling calls."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Adds the addresses to the project's metadata."""
        metadata["urls"] = project_urls(os.environ)
