"""The taxonomy as files (`/taxonomy.ttl`, `/taxonomy.jsonld`, `/taxonomy.csv`), and the names of its tags in linked data.

Below the site's address a tag is called `/taxonomy/design/rct`; whoever opens the name comes to the works that have the tag.
`evidence.export.taxonomy_files` writes the files. The rules are read from the files of the topic, which a server of a published
copy of one's own topic does not have: there is no file then, and no link to it.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlencode

from datasette import hookimpl
from datasette.utils.asgi import NotFound, Response

from evidence.export import taxonomy_files
from evidence.publish import site_details, site_topic
from evidence.rules import taxonomy

NAME = "evidence"
BY_EXTENSION = {form.extension: form for form in taxonomy_files.FORMATS.values()}
MISSING = "The files of this topic are not on this server."
KNOWN = "select 1 from facets where facet = :facet and :value in ('', value)"


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [
        (rf"^/taxonomy\.(?P<extension>{'|'.join(BY_EXTENSION)})$", download),
        (r"^/taxonomy/(?P<facet>[^/]+)(?:/(?P<value>[^/]+)|/group/[^/]+)?$", tag),
    ]


async def download(datasette: Any, request: Any) -> Response:
    form = BY_EXTENSION[request.url_vars["extension"]]
    files = site_topic.with_files(await site_topic.of_database(datasette.get_database(NAME)))
    if files is None:
        raise NotFound(MISSING)
    text = "".join(form.write(taxonomy.load(files), site_details.of_environment(os.environ).address))
    headers = {"content-disposition": f'attachment; filename="taxonomy.{form.extension}"'}
    return Response(text, content_type=form.media_type, headers=headers)


async def tag(datasette: Any, request: Any) -> Response:
    """The works with the tag; of a facet and its groups, the definitions of its tags."""
    facet, value = request.url_vars["facet"], request.url_vars["value"] or ""
    if not (await datasette.get_database(NAME).execute(KNOWN, {"facet": facet, "value": value})).first():
        raise NotFound(f"There is no tag {facet}:{value}" if value else f"There is no facet {facet}")
    if not value:
        return Response.redirect(datasette.urls.path("/method") + "#tags", status=303)
    query = urlencode({"verdict": "include", "_tag": f"{facet}:{value}"})
    return Response.redirect(f"{datasette.urls.table(NAME, 'works')}?{query}", status=303)
