"""Plans for tests, written short."""

from jettison.oci.documents import ImageConfig
from jettison.planning import ops
from jettison.planning.graph import Plan, Step

CONTEXT = Step(id="context", op=ops.LocalOp(name=ops.CONTEXT))


def image(name: str = "base", digest: str = "sha256:" + "b" * 64) -> Step:
    return Step(id=f"image:{name}", op=ops.ImageOp(ref=name, platform="linux/amd64", digest=digest))


def scratch() -> Step:
    return Step(id="scratch", op=ops.ScratchOp())


def run(step: str, command: str, *inputs: str, **fields: object) -> Step:
    """A RUN on the first input; the others are bind-mounted whole."""
    env = tuple(dict(fields.pop("env", {})).items())
    mounts = tuple(ops.BindMount(target=f"/in{index}", input=index) for index in range(1, len(inputs)))
    op = ops.RunOp(args=("/bin/sh", "-c", command), env=env, cwd="/", mounts=fields.pop("mounts", mounts), **fields)
    return _step(step, op, inputs)


def copy(step: str, source: str, *inputs: str, dest: str = "/", **fields: object) -> Step:
    """A COPY of a path of the second input onto the first."""
    op = ops.CopyOp(sources=(ops.CopySource(1, source),), dest=dest, dest_is_dir=True, **fields)
    return _step(step, op, inputs)


def _step(step: str, op: ops.AnyOp, inputs: tuple[str, ...]) -> Step:
    return Step(id=step, op=op, inputs=inputs, stage=step.split(".", maxsplit=1)[0], display=f"[{step}]")


def plan(*steps: Step, result: str | None = None, lineage: tuple[str, ...] | None = None) -> Plan:
    """A plan of these steps. Without `lineage`, it is found by following first inputs from the result down."""
    result = result or steps[-1].id
    by_id = {step.id: step for step in steps}
    found = [result]
    while by_id[found[0]].inputs:
        found.insert(0, by_id[found[0]].inputs[0])
    return Plan(
        platform="linux/amd64",
        target="",
        steps=steps,
        result=result,
        lineage=lineage or tuple(found),
        config=ImageConfig(architecture="amd64", os="linux"),
        history=(),
    )
