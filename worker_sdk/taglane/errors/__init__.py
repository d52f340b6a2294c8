"""Everything Taglane raises, grouped by who can act.

TaglaneError
├── CallerError              the call was wrong: nothing was written
│   ├── BadName              a tenant, tag, job or run id that can't be one
│   ├── BadSchedule          a cron, duration, instant or time zone that says nothing
│   ├── BadParams            not an object, not JSON, or too large
│   ├── BadJobsFile          jobs.yaml, with file, line and column
│   ├── BadSetting           a setting or TAGLANE_URL that can't be used
│   ├── BadLimit             a limit of a tenant that says nothing
│   ├── BadAlertRule         an alert rule, channel or silence that says nothing
│   ├── BadQuery             a search for runs that says nothing
│   ├── ExtraMissing         what an optional extra brings is not installed
│   ├── TenantMissing        a task was sent with no tenant in reach
│   └── TagNotOwned          the tag is another tenant's
├── NotFound
│   ├── TenantNotFound
│   ├── JobNotFound
│   ├── RunNotFound
│   ├── WorkerNotFound
│   ├── DeadLetterNotFound
│   └── AlertPartNotFound    a rule, a channel or a silence
├── OverLimit                a limit of the tenant's is in the way: nothing was written
│   ├── QueueFull            it has as many runs waiting as it may
│   ├── ParamsOverLimit      the params take more bytes than it may send
│   ├── TooManyAlertParts    it has as many rules, channels or silences as it may
│   └── TenantDraining       it takes no more
├── Conflict
│   ├── TenantExists
│   ├── JobTooNew            a newer Taglane wrote the job
│   ├── ChannelInUse         rules send to it
│   └── NotReplayable        a run that goes on, or of which too little is kept
├── Refused                  the credential does not reach that far
│   ├── OperatorNeeded       it is a tenant's, and takes the operator's
│   ├── OtherTenant          a run of one tenant, and the other is not its own
│   ├── RoleNeeded           a key or a person of the console that may not do that
│   └── NotFenced            it may make no users, so there are no passwords of tenants
├── ServerUnavailable        no answer, or no answer that we can use
│   ├── ServerFull           maxmemory is reached: nothing was written
│   ├── NodeUnavailable      one node of a cluster: it is its tenants' trouble alone
│   ├── ClusterUrlNeeded     the url is one server's, and that is a node of a cluster
│   ├── NoCluster            the url is a cluster's, and the server there runs by itself
│   ├── NotReplicated        written on the primary, and on too few replicas yet
│   └── LibraryMissing       the server has no functions of ours yet
├── RunFailed                the run ended without a result
└── RunTimeout               the run did not end in time: it still goes on
"""

from taglane.errors.calls import (
    BadAlertRule,
    BadJobsFile,
    BadLimit,
    BadName,
    BadParams,
    BadQuery,
    BadSchedule,
    BadSetting,
    ExtraMissing,
    TagNotOwned,
    TenantMissing,
)
from taglane.errors.kinds import (
    CallerError,
    Conflict,
    NotFound,
    OverLimit,
    Refused,
    RunFailed,
    RunTimeout,
    ServerUnavailable,
    TaglaneError,
)
from taglane.errors.servers import (
    ClusterUrlNeeded,
    LibraryMissing,
    NoCluster,
    NodeUnavailable,
    NotFenced,
    NotReplicated,
    OperatorNeeded,
    OtherTenant,
    RoleNeeded,
    ServerFull,
)
from taglane.errors.things import (
    AlertPartNotFound,
    ChannelInUse,
    DeadLetterNotFound,
    JobNotFound,
    JobTooNew,
    NotReplayable,
    ParamsOverLimit,
    QueueFull,
    RunNotFound,
    TenantDraining,
    TenantExists,
    TenantNotFound,
    TooManyAlertParts,
    WorkerNotFound,
)

__all__ = [
    "AlertPartNotFound",
    "BadAlertRule",
    "BadJobsFile",
    "BadLimit",
    "BadName",
    "BadParams",
    "BadQuery",
    "BadSchedule",
    "BadSetting",
    "CallerError",
    "ChannelInUse",
    "ClusterUrlNeeded",
    "Conflict",
    "DeadLetterNotFound",
    "ExtraMissing",
    "JobNotFound",
    "JobTooNew",
    "LibraryMissing",
    "NoCluster",
    "NodeUnavailable",
    "NotFenced",
    "NotFound",
    "NotReplayable",
    "NotReplicated",
    "OperatorNeeded",
    "OtherTenant",
    "OverLimit",
    "ParamsOverLimit",
    "QueueFull",
    "Refused",
    "RoleNeeded",
    "RunFailed",
    "RunNotFound",
    "RunTimeout",
    "ServerFull",
    "ServerUnavailable",
    "TagNotOwned",
    "TaglaneError",
    "TenantDraining",
    "TenantExists",
    "TenantMissing",
    "TenantNotFound",
    "TooManyAlertParts",
    "WorkerNotFound",
]

for _name in __all__:  # where they lie is no part of what they are called
    globals()[_name].__module__ = __name__
