"""The names (IRIs) of tags and of the program's own terms in linked data: the same in every export and on the site.

A tag is named below the address of the site where that is known: such a name can be opened. Where it is not, the name is a URN,
which says no place: an address that nobody owns would be a false promise. Both end in the ids of facet and value, which never
change. Pure: ids in, names out.
"""

from __future__ import annotations

from urllib.parse import quote

from evidence import doi as dois
from evidence.data_model import Doi

TERMS = "urn:evidence:terms/"
"""What the standards have no word for, such as the strength of a tag. The same for every topic and site."""
FACETS = "urn:evidence:facets/"
"""The properties that lead from a study to its values of a facet."""
WORKS = "urn:evidence:works/"
"""Works without a DOI, by their local id."""
TAXONOMY = "taxonomy"
"""Where the site has the taxonomy."""


def base(topic: str, address: str | None) -> str:
    """What the names of a topic's facets and values begin with. `address` is that of the site, without a slash at its end."""
    return f"{address}/{TAXONOMY}/" if address else f"urn:evidence:{_part(topic)}/"


def facet(of: str, name: str) -> str:
    """The name of a facet below `base`."""
    return of + _part(name)


def value(of: str, name: str, id_: str) -> str:
    """The name of a value of a facet below `base`."""
    return f"{of}{_part(name)}/{_part(id_)}"


def group(of: str, name: str, label: str) -> str:
    """The name of a group of a facet's values. Groups have no ids, so it has the label."""
    return f"{of}{_part(name)}/group/{_part('-'.join(label.lower().split()))}"


def work(doi: str | None, local_id: str | None) -> str:
    """The name of a work: the link of its DOI, or of its local id a URN."""
    return dois.url(Doi(doi)) if doi else WORKS + _part(local_id or "")


def _part(text: str) -> str:
    return quote(text, safe="")
