"""Records of other providers for tests, in their providers' shapes and with sentences of our own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from xml.sax.saxutils import escape

from evidence.data_model import ProviderName
from evidence.providers.answers import Answer, Batch, Wanted

_METHODS = (
    "Sixty bereaved adults were randomised to interpersonal psychotherapy or a waiting list. "
    "Depressive symptoms were measured with the Beck Depression Inventory."
)
ABSTRACT = (
    ("BACKGROUND", "Grief is common."),
    ("METHODS", _METHODS),
    ("RESULTS", "Depressive symptoms fell more in the interpersonal psychotherapy group."),
    ("CONCLUSIONS", "Interpersonal psychotherapy helped."),
)
"""A labelled abstract of our own."""


def pubmed(
    doi: str,
    title: str,
    pmid: str = "12345678",
    *,
    abstract: Sequence[tuple[str, str]] = ABSTRACT,
    types: Sequence[str] = ("Journal Article",),
    comments: Sequence[tuple[str, str, str]] = (),
    registrations: Sequence[str] = (),
    mesh: Sequence[tuple[str, bool]] = (),
) -> str:
    """A `PubmedArticle`. `comments` are (RefType, source, PMID); `mesh` are headings, and whether each is a main topic."""
    headings = "".join(
        f'<MeshHeading><DescriptorName MajorTopicYN="{"Y" if major else "N"}">{name}</DescriptorName></MeshHeading>'
        for name, major in mesh
    )
    sections = "".join(f'<AbstractText Label="{label}">{escape(text)}</AbstractText>' for label, text in abstract)
    numbers = "".join(f"<AccessionNumber>{number}</AccessionNumber>" for number in registrations)
    bank = "<DataBank><DataBankName>ClinicalTrials.gov</DataBankName>"
    lists = f"<DataBankList>{bank}<AccessionNumberList>{numbers}</AccessionNumberList></DataBank></DataBankList>"
    notes = "".join(
        f'<CommentsCorrections RefType="{kind}"><RefSource>{escape(source)}</RefSource><PMID>{number}</PMID>'
        "</CommentsCorrections>"
        for kind, source, number in comments
    )
    return (
        f"<PubmedArticle><MedlineCitation><PMID>{pmid}</PMID><Article><ArticleTitle>{escape(title)}.</ArticleTitle>"
        + (f"<Abstract>{sections}</Abstract>" if abstract else "")
        + (lists if registrations else "")
        + f"<PublicationTypeList>{''.join(f'<PublicationType>{one}</PublicationType>' for one in types)}"
        f"</PublicationTypeList></Article><CommentsCorrectionsList>{notes}</CommentsCorrectionsList>"
        f"<MeshHeadingList>{headings}</MeshHeadingList></MedlineCitation>"
        f'<PubmedData><ArticleIdList><ArticleId IdType="pubmed">{pmid}</ArticleId>'
        f'<ArticleId IdType="doi">{escape(doi)}</ArticleId></ArticleIdList></PubmedData></PubmedArticle>'
    )


def europepmc(doi: str, title: str, pmid: str = "12345678", abstract: str | None = None, **more: object) -> str:
    """A record of Europe PMC."""
    record = {"id": pmid, "source": "MED", "pmid": pmid, "doi": doi, "title": f"{title}."} | more
    return json.dumps(record | ({"abstractText": abstract} if abstract else {}))


def retraction_watch(doi: str, title: str, number: str = "7", kind: str = "Retraction", day: str = "3/1/2019") -> str:
    """The rows about a work in the file of Retraction Watch, as they are stored."""
    row = {"Record ID": number, "Title": title, "OriginalPaperDOI": doi, "RetractionDOI": "unavailable"}
    return json.dumps([row | {"RetractionNature": kind, "RetractionDate": f"{day} 0:00"}])


def registered(number: str, title: str, outcomes: Sequence[str] = (), enrolment: int = 120) -> str:
    """A completed study of ClinicalTrials.gov."""
    protocol = {
        "identificationModule": {"nctId": number, "officialTitle": title},
        "statusModule": {"overallStatus": "COMPLETED", "startDateStruct": {"date": "2016-07"}},
        "designModule": {"enrollmentInfo": {"count": enrolment}},
        "outcomesModule": {"primaryOutcomes": [{"measure": one, "timeFrame": "12 weeks"} for one in outcomes]},
    }
    return json.dumps({"protocolSection": protocol})


class FakeProvider:
    """A provider that answers from a dictionary (subject → record), `batch` subjects at a time.

    `failing`: it cannot be asked, with this reason. `before_batch` is called with the number of each batch. `asked` lists every
    subject that was asked about.
    """

    def __init__(self, name: ProviderName, records: dict[str, str], *, batch: int = 2) -> None:
        self.name: ProviderName = name
        self.edition: str | None = None
        self.records = records
        self.batch = batch
        self.failing: str | None = None
        self.refusing: dict[str, str] = {}
        self.retry_after: float | None = None
        self.before_batch: Callable[[int], None] = lambda _: None
        self.asked: list[Wanted] = []
        self.requests = self.bytes = 0

    def ask(self, wanted: Sequence[Wanted]) -> Iterator[Batch]:
        for number, start in enumerate(range(0, len(wanted), self.batch)):
            part = wanted[start : start + self.batch]
            self.before_batch(number)
            self.requests += 1
            self.asked += part
            yield Batch(tuple(self._answer(one.subject) for one in part), f"{len(part)} works", 1)

    def close(self) -> None:
        """Nothing is open."""

    def _answer(self, subject: str) -> Answer:
        if self.failing:
            return Answer(subject, "failed", problem=self.failing, retry_after=self.retry_after)
        if subject in self.refusing:
            return Answer(subject, "refused", problem=self.refusing[subject])
        record = self.records.get(subject)
        return Answer(subject, "found", record) if record is not None else Answer(subject, "none")
