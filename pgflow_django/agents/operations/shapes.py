"""What operations are asked with and what they give, as pydantic models.

Descriptions are read by language models: short, and only where the name does not say it. Documents,
inputs, outputs and explanations are plain JSON: ``docs/flows.md`` and ``docs/agents.md`` have them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

JSONObject = dict[str, Any]
Slug = Annotated[str, Field(max_length=128, description="name of a flow")]
Version = Annotated[int, Field(ge=0, description="of the draft that you have seen")]
Limit = Annotated[int, Field(ge=1, le=100)]
Note = Annotated[str, Field(max_length=2000, description="for the person who reviews it")]
RunId = UUID


class Arguments(BaseModel):
    """What an operation is asked with: nothing else is taken."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Result(BaseModel):
    """What an operation gives."""


class SearchFunctions(Arguments):
    """See ``catalogue.search_step_functions``."""

    query: Annotated[str, Field(max_length=1000)] = ""
    names: Annotated[
        list[str], Field(max_length=100, description="these, whatever query says")
    ] = []
    detail: Annotated[
        Literal["brief", "full"], Field(description="full: schemas and examples too")
    ] = "brief"
    limit: Limit = 10


class Functions(Result):
    """Step functions; ``total`` counts all that were found."""

    functions: list[JSONObject]
    total: int


class GetSchema(Arguments):
    """See ``catalogue.get_flow_schema``."""

    strict: Annotated[bool, Field(description="for structured output of language models")] = False
    functions: Annotated[list[str], Field(max_length=250)] = []


class Schema(Result):
    """A JSON Schema of flow documents."""

    schema_: Annotated[JSONObject, Field(serialization_alias="schema")]


class ListFlows(Arguments):
    """See ``flows.list_flows``."""

    query: Annotated[str, Field(max_length=200)] = ""
    limit: Limit = 20
    cursor: Annotated[str, Field(max_length=128, description="next of the page before")] = ""


class Flows(Result):
    """Flows by their names; ``next`` leads on, empty at the end."""

    flows: list[JSONObject]
    next: str = ""


class GetFlow(Arguments):
    """See ``flows.get_flow``."""

    slug: Slug
    which: Annotated[
        str, Field(max_length=20, description="draft, published, or the number of a version")
    ] = "draft"


class Flow(Result):
    """A flow as it is drawn or published."""

    slug: str
    document: JSONObject
    version: Annotated[int, Field(description="of the draft: for save_flow and patch_flow")]
    published_version: int | None
    problems: list[JSONObject]
    submitted: Annotated[bool, Field(description="whether it waits for approval")]
    note: Annotated[str, Field(description="of the person who returned it")]
    provenance: JSONObject | None
    url: str


class ValidateFlow(Arguments):
    """See ``flows.validate_flow``."""

    document: JSONObject


class Validation(Result):
    """Problems with their places; ``repair.patch`` mends what is certain."""

    valid: bool
    problems: list[JSONObject]
    more: int
    repair: JSONObject | None


class SimulateFlow(Arguments):
    """See ``flows.simulate_flow``: a document, or the name of a flow."""

    document: JSONObject | None = None
    slug: Slug = ""
    input: Any = None
    outputs: Annotated[JSONObject, Field(description="{step: what it gave}")] = {}


class Simulated(Result):
    """How a run would go; ``more`` counts steps that are left out here."""

    ok: bool
    problems: list[JSONObject]
    waves: list[list[str]]
    steps: list[JSONObject]
    totals: JSONObject
    output: JSONObject
    more: int = 0


class DiffFlow(Arguments):
    """See ``flows.diff_flow``: what a document would change, or from one version to another."""

    slug: Slug
    document: JSONObject | None = None
    from_: Annotated[
        str, Field(alias="from", max_length=20, description="number of a version, or published")
    ] = "published"
    to: Annotated[str, Field(max_length=20, description="number of a version, or draft")] = "draft"


class Changes(Result):
    """Changes, one by one and in words; ``more`` counts those that are left out here."""

    changes: list[JSONObject]
    text: str
    more: int = 0


class SaveFlow(Arguments):
    """See ``drawing.save_flow``."""

    document: JSONObject
    version: Annotated[int, Field(ge=0, description="of the draft; 0: a new flow")] = 0
    note: Note = ""
    model: Annotated[str, Field(max_length=200, description="the model that wrote it")] = ""
    prompt_sha256: Annotated[str, Field(max_length=64)] = ""


class PatchFlow(Arguments):
    """See ``drawing.patch_flow``."""

    slug: Slug
    version: Version
    patch: Annotated[list[JSONObject], Field(max_length=1000, description="JSON Patch")] = []
    edits: Annotated[
        list[JSONObject],
        Field(max_length=100, description="[{op, arguments}]; rename_step carries its edges"),
    ] = []
    note: Note = ""


class Saved(Result):
    """The draft's new version, what was changed, and what keeps it from being published."""

    slug: str
    version: int
    changes: list[JSONObject]
    problems: list[JSONObject]
    url: str


class PublishFlow(Arguments):
    """See ``drawing.publish_flow``."""

    slug: Slug
    version: Version
    note: Note = ""


class Published(Result):
    """Whether it is published, or waits for a person; ``url`` is where that person looks."""

    status: Literal["published", "waiting_for_approval"]
    published_version: int | None
    url: str


class StartRun(Arguments):
    """See ``starting.start_run``."""

    slug: Slug
    input: Any = {}
    key: Annotated[
        str, Field(max_length=255, description="a start with the same key gives the same run")
    ] = ""


class StartTrial(Arguments):
    """See ``starting.start_trial``: a document, or the name of a draft."""

    document: JSONObject | None = None
    slug: Slug = ""
    input: Any = {}
    outputs: Annotated[JSONObject, Field(description="{step: value}: not called")] = {}
    until: Annotated[str, Field(max_length=128, description="the last step")] = ""
    allow_effects: bool = False


class Started(Result):
    """A run that workers do."""

    run_id: UUID
    status: str
    url: str


class ListRuns(Arguments):
    """See ``runs.list_runs``."""

    slug: Slug = ""
    status: Annotated[
        list[Literal["started", "paused", "completed", "failed", "cancelled"]], Field(max_length=5)
    ] = []
    limit: Limit = 20
    cursor: Annotated[str, Field(max_length=36, description="next of the page before")] = ""


class Runs(Result):
    """Runs, the newest first; ``next`` leads on, empty at the end."""

    runs: list[JSONObject]
    next: str = ""


class GetRun(Arguments):
    """See ``runs.get_run``."""

    run_id: RunId
    wait_seconds: Annotated[float, Field(ge=0, le=20, description="for its end")] = 0
    steps: bool = True
    payload: Annotated[bool, Field(description="its output too, where you may see it")] = False


class Run(Result):
    """How a run stands; ``waiting`` says why nothing moves, ``reasons`` why it stands so."""

    run_id: UUID
    slug: str
    status: str
    is_trial: bool
    percentage: float
    steps: list[JSONObject]
    more: int = 0
    output: Any = None
    failure: JSONObject | None = None
    waiting: JSONObject | None = None
    reasons: list[str] = []
    url: str


class OneRun(Arguments):
    """A run by its id."""

    run_id: RunId


class CancelRun(OneRun):
    """See ``runs.cancel_run``."""

    reason: Annotated[str, Field(max_length=500)] = ""


class ControlRun(OneRun):
    """See ``control.control_run``."""

    action: Literal["pause", "resume", "retry_now", "try_one", "skip", "complete", "rerun"]
    step: Annotated[str, Field(max_length=128)] = ""
    index: Annotated[int | None, Field(ge=0, description="one task of a map")] = None
    output: Annotated[Any, Field(description="for complete")] = None
    input: Annotated[Any, Field(description="for rerun; else the same")] = None
    downstream: Annotated[bool, Field(description="skip what comes after, too")] = False
    hold: Annotated[bool, Field(description="leave it paused")] = False
    reason: Annotated[str, Field(max_length=500)] = ""


class Controlled(Result):
    """How the run stands now, or the new one; ``did`` is false where it was so already."""

    run_id: UUID
    status: str
    did: bool
    steps: list[str]
    tasks: int
    url: str


class Acted(Result):
    """How the run stands now."""

    run_id: UUID
    status: str


class Explained(Result):
    """Why a run stands as it does; ``next`` says what to do, with the tools for it."""

    model_config = ConfigDict(extra="allow")

    run_id: UUID
    status: str
    headline: str
    cause: JSONObject | None
    next: list[JSONObject]
