"""The plan: steps in topological order, and the image that their last one becomes."""

# No `from __future__ import annotations`: msgspec would compile every annotation's text again at each start.

import msgspec

from jettison.base.errors import Location
from jettison.oci.documents import HistoryEntry, ImageConfig
from jettison.planning.ops import AnyOp


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One vertex. `inputs[0]` is the tree it builds on (for those that build on one), the others what it reads.

    `id` is unique within a plan and stable for one Dockerfile (`build.3`, `image:alpine@linux/amd64`). `display` is
    what people see: `[build 2/5] RUN yarn`. `stage` is the stage's name (`stage-N` without one), "" for sources.
    """

    id: str
    op: AnyOp
    inputs: tuple[str, ...] = ()
    stage: str = ""
    display: str = ""
    location: Location | None = None


class PlannedHistory(msgspec.Struct, frozen=True):
    """A history entry of this build. `step` None: metadata, an empty layer. Else a layer, if the step yields one."""

    entry: HistoryEntry
    step: str | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one target on one platform needs, and nothing that it does not reach.

    `config` is the final image's config with the base's history and rootfs; `history` is what this build appends.
    `lineage` lists, from the base up, the steps whose layers form the image (`lineage[0]` is an image or scratch).
    `stages` are the labels of the stages that it reaches, in order of the file. `source_date_epoch` is what a build-arg
    or a global ARG of that name says, as text; "" when neither does. `unconsumed` tells of build args without an ARG.
    """

    platform: str
    target: str
    steps: tuple[Step, ...]
    result: str
    lineage: tuple[str, ...]
    config: ImageConfig
    history: tuple[PlannedHistory, ...]
    warnings: tuple[str, ...] = ()
    unconsumed: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    source_date_epoch: str = ""

    def step(self, step_id: str) -> Step:
        """The step with that id. Raises KeyError."""
        return next(step for step in self.steps if step.id == step_id)
