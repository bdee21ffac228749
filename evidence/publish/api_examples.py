"""The examples of the API page, in curl, Python and R. `@site@` stands for the address of the site that shows them.

A test runs each of those in curl and Python against a served site. Nothing here asks anything itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evidence.rules.topic import Topic


@dataclass(frozen=True, slots=True)
class Example:
    """What is asked for, and how in each language."""

    id: str
    title: str
    says: str
    curl: str
    python: str
    r: str

    def languages(self) -> Iterator[tuple[str, str]]:
        yield from (("curl", self.curl), ("Python", self.python), ("R", self.r))


def examples(topic: Topic, tag: str, site: str) -> list[Example]:
    """The examples for a site at the address `site`. `tag` is a tag that works have, such as `variant:ipt-a`."""
    facet, _, value = tag.partition(":")
    filled = {"@site@": site, "@tag@": tag, "@facet@": facet, "@value@": value, "@rows@": topic.map[0]}

    def fill(text: str) -> str:
        for name, word in filled.items():
            text = text.replace(name, word)
        return text.strip("\n")

    return [Example(e.id, *map(fill, (e.title, e.says, e.curl, e.python, e.r))) for e in _EXAMPLES]


_EXAMPLES = (
    Example(
        "list",
        "A list of works as CSV",
        "The filters are those of the list's own address: copy them from there. The file has every work of the list and a column "
        "for each facet.",
        """
curl --silent --fail --get "@site@/download/csv" \\
  --data-urlencode "verdict=include" \\
  --data-urlencode "_tag=@tag@" \\
  --output works.csv
""",
        """
import csv, io, urllib.parse, urllib.request

filters = urllib.parse.urlencode({"verdict": "include", "_tag": "@tag@"})
with urllib.request.urlopen(f"@site@/download/csv?{filters}") as answer:
    works = list(csv.DictReader(io.TextIOWrapper(answer, "utf-8", newline="")))
print(len(works), "works")
""",
        """
filters <- "verdict=include&_tag=@tag@"
works <- read.csv(paste0("@site@/download/csv?", filters), encoding = "UTF-8")
nrow(works)
""",
    ),
    Example(
        "pages",
        "Every row of a table as JSON, page by page",
        "`next_url` is the address of the next page, and null on the last one. `_size` is the number of rows on a page.",
        """
curl --silent --fail "@site@/evidence/tags.json?_shape=objects&_size=5"
""",
        """
import json, urllib.request

address, tags = "@site@/evidence/tags.json?_shape=objects&_size=1000", []
while address:
    with urllib.request.urlopen(address) as answer:
        page = json.load(answer)
    tags += page["rows"]
    address = page["next_url"]
print(len(tags), "tags")
""",
        """
address <- "@site@/evidence/tags.json?_shape=objects&_size=1000"
tags <- list()
while (!is.null(address)) {
  page <- jsonlite::fromJSON(address)
  tags <- c(tags, list(page$rows))
  address <- page$next_url
}
tags <- do.call(rbind, tags)
""",
    ),
    Example(
        "work",
        "One work by its DOI",
        "`/doi/` leads to the page of the work; that address with `.json` is its row.",
        """
curl --silent --fail --get "@site@/evidence/works.json" \\
  --data-urlencode "doi=10.1002/cpp.1774" \\
  --data "_shape=array"
""",
        """
import json, urllib.parse, urllib.request

query = urllib.parse.urlencode({"doi": "10.1002/cpp.1774", "_shape": "array"})
with urllib.request.urlopen(f"@site@/evidence/works.json?{query}") as answer:
    for work in json.load(answer):
        print(work["title"], work["verdict"])
""",
        """
works <- jsonlite::fromJSON("@site@/evidence/works.json?doi=10.1002/cpp.1774&_shape=array")
works$title
""",
    ),
    Example(
        "map",
        "The evidence map as numbers",
        "One row for each cell: works, trials, reviews and retracted works.",
        """
curl --silent --fail "@site@/map.csv" --output map.csv
""",
        """
import csv, io, urllib.request

with urllib.request.urlopen("@site@/map.csv") as answer:
    cells = list(csv.DictReader(io.TextIOWrapper(answer, "utf-8", newline="")))
print(max(cells, key=lambda cell: int(cell["works"])))
""",
        """
cells <- read.csv("@site@/map.csv")
xtabs(works ~ ., data = cells[, 1:3])
""",
    ),
    Example(
        "query",
        "A ready-made query",
        "Every ready-made query takes its parameters in the address; `.json` and `.csv` give the answer as data.",
        """
curl --silent --fail --get "@site@/evidence/trials.json" \\
  --data "_shape=array" \\
  --data-urlencode "@facet@=@value@"
""",
        """
import json, urllib.parse, urllib.request

query = urllib.parse.urlencode({"_shape": "array", "@facet@": "@value@"})
with urllib.request.urlopen(f"@site@/evidence/trials.json?{query}") as answer:
    print(len(json.load(answer)), "trials")
""",
        """
trials <- jsonlite::fromJSON("@site@/evidence/trials.json?_shape=array&@facet@=@value@")
""",
    ),
    Example(
        "cite",
        "References for a reference manager",
        "`ris`, `bibtex` and `csl-json` take the same filters as `csv`.",
        """
curl --silent --fail "@site@/download/bibtex?doi=10.1002/cpp.1774"
""",
        """
import json, urllib.request

with urllib.request.urlopen("@site@/download/csl-json?doi=10.1002/cpp.1774") as answer:
    for reference in json.load(answer):
        print(reference["title"])
""",
        """
writeLines(readLines("@site@/download/bibtex?doi=10.1002/cpp.1774"))
""",
    ),
    Example(
        "unchanged",
        "Ask again only what has changed",
        "An answer that is not streamed has an ETag. Sent back as `If-None-Match`, it is answered 304 without a body while "
        "nothing has changed.",
        """
etag=$(curl --silent --fail --output /dev/null --dump-header - "@site@/map.csv" | tr -d '\\r' | sed -n 's/^[Ee][Tt]ag: //p')
curl --silent --output /dev/null --write-out "%{http_code}\\n" --header "If-None-Match: $etag" "@site@/map.csv"
""",
        """
import urllib.error, urllib.request

with urllib.request.urlopen("@site@/map.csv") as answer:
    etag = answer.headers["ETag"]
again = urllib.request.Request("@site@/map.csv", headers={"If-None-Match": etag})
try:
    urllib.request.urlopen(again).close()
    print("changed")
except urllib.error.HTTPError as answer:
    print(answer.code)
    answer.close()
""",
        """
first <- httr::GET("@site@/map.csv")
again <- httr::GET("@site@/map.csv", httr::add_headers(`If-None-Match` = httr::headers(first)$etag))
httr::status_code(again)
""",
    ),
)
