"""jettison: multi-stage container builds with no daemon and no root. Ship the payload, jettison the rest.

    import jettison

    result = jettison.build(jettison.BuildRequest(context=".", tags=("app",)))
    print(result.images[0].config_digest)

Public is what `__all__` lists, under semantic versioning. Every name is imported when it is first asked for, so that
`import jettison` costs next to nothing.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jettison.app.build import build as build
    from jettison.app.language import parse as parse
    from jettison.app.language import plan as plan
    from jettison.app.request import BuildRequest as BuildRequest
    from jettison.app.request import BuildResult as BuildResult
    from jettison.app.request import CacheSource as CacheSource
    from jettison.app.request import CacheTarget as CacheTarget
    from jettison.app.request import OutputSpec as OutputSpec
    from jettison.app.request import Secret as Secret
    from jettison.app.request import SshAgent as SshAgent
    from jettison.base.errors import Cancelled as Cancelled
    from jettison.base.errors import Diagnostic as Diagnostic
    from jettison.base.errors import DockerfileError as DockerfileError
    from jettison.base.errors import HostError as HostError
    from jettison.base.errors import InputError as InputError
    from jettison.base.errors import InternalError as InternalError
    from jettison.base.errors import JettisonError as JettisonError
    from jettison.base.errors import NetworkError as NetworkError
    from jettison.base.errors import StepError as StepError
    from jettison.base.errors import UsageError as UsageError
    from jettison.planning.graph import Plan as Plan
    from jettison.planning.graph import Step as Step
    from jettison.record.model import BuildFinished as BuildFinished
    from jettison.record.model import BuildRecord as BuildRecord
    from jettison.record.model import BuildStarted as BuildStarted
    from jettison.record.model import Event as Event
    from jettison.record.model import ExportFinished as ExportFinished
    from jettison.record.model import ExportStarted as ExportStarted
    from jettison.record.model import ImageRecord as ImageRecord
    from jettison.record.model import StepCached as StepCached
    from jettison.record.model import StepFailed as StepFailed
    from jettison.record.model import StepFinished as StepFinished
    from jettison.record.model import StepOutput as StepOutput
    from jettison.record.model import StepProgress as StepProgress
    from jettison.record.model import StepRecord as StepRecord
    from jettison.record.model import StepStarted as StepStarted
    from jettison.record.model import Warned as Warned
    from jettison.syntax.nodes import Dockerfile as Dockerfile

__version__ = "0.1.0"

_HOME = {
    "BuildFinished": "jettison.record.model",
    "BuildRecord": "jettison.record.model",
    "BuildRequest": "jettison.app.request",
    "BuildResult": "jettison.app.request",
    "BuildStarted": "jettison.record.model",
    "CacheSource": "jettison.app.request",
    "CacheTarget": "jettison.app.request",
    "Cancelled": "jettison.base.errors",
    "Diagnostic": "jettison.base.errors",
    "Dockerfile": "jettison.syntax.nodes",
    "DockerfileError": "jettison.base.errors",
    "Event": "jettison.record.model",
    "ExportFinished": "jettison.record.model",
    "ExportStarted": "jettison.record.model",
    "HostError": "jettison.base.errors",
    "ImageRecord": "jettison.record.model",
    "InputError": "jettison.base.errors",
    "InternalError": "jettison.base.errors",
    "JettisonError": "jettison.base.errors",
    "NetworkError": "jettison.base.errors",
    "OutputSpec": "jettison.app.request",
    "Plan": "jettison.planning.graph",
    "Secret": "jettison.app.request",
    "SshAgent": "jettison.app.request",
    "Step": "jettison.planning.graph",
    "StepCached": "jettison.record.model",
    "StepError": "jettison.base.errors",
    "StepFailed": "jettison.record.model",
    "StepFinished": "jettison.record.model",
    "StepOutput": "jettison.record.model",
    "StepProgress": "jettison.record.model",
    "StepRecord": "jettison.record.model",
    "StepStarted": "jettison.record.model",
    "UsageError": "jettison.base.errors",
    "Warned": "jettison.record.model",
    "build": "jettison.app.build",
    "parse": "jettison.app.language",
    "plan": "jettison.app.language",
}

__all__ = [
    "BuildFinished",
    "BuildRecord",
    "BuildRequest",
    "BuildResult",
    "BuildStarted",
    "CacheSource",
    "CacheTarget",
    "Cancelled",
    "Diagnostic",
    "Dockerfile",
    "DockerfileError",
    "Event",
    "ExportFinished",
    "ExportStarted",
    "HostError",
    "ImageRecord",
    "InputError",
    "InternalError",
    "JettisonError",
    "NetworkError",
    "OutputSpec",
    "Plan",
    "Secret",
    "SshAgent",
    "Step",
    "StepCached",
    "StepError",
    "StepFailed",
    "StepFinished",
    "StepOutput",
    "StepProgress",
    "StepRecord",
    "StepStarted",
    "UsageError",
    "Warned",
    "__version__",
    "build",
    "parse",
    "plan",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
