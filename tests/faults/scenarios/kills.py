"""F1 on each route: kill -9 at every failpoint and at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults.catalogue import fault
from faults.record_route import RecordRoute
from faults.routes import ListingRoute, QueueRoute
from faults.runner import Plan, Torment

if TYPE_CHECKING:
    from faults.lab import Lab
    from faults.routes import Route

BRIEF = Plan(kills=8, each=1, seed=2026)
MADE = "SIGKILL at each failpoint and at random"
SEEN = "nothing lost, wrong or visible twice; a fresh line gets through; no step by hand"


@fault("F1", "kill -9, S3+SQS", made=MADE, seen=SEEN)
def kills_sqs(lab: Lab) -> str:
    plan = lab.plan or BRIEF
    return _tormented(lab, QueueRoute(lab.moto, lab.unique("kills"), plan.seed), plan)


@fault("F1", "kill -9, S3 listing", made=MADE, seen=SEEN)
def kills_listing(lab: Lab) -> str:
    plan = lab.plan or BRIEF
    return _tormented(lab, ListingRoute(lab.moto, lab.unique("kills"), plan.seed), plan)


@fault("F1", "kill -9, Kinesis", made=MADE, seen=SEEN)
def kills_kinesis(lab: Lab) -> str:
    plan = lab.plan or BRIEF
    return _tormented(lab, RecordRoute(lab.kinesalite, lab.unique("kills"), plan.seed), plan)


def _tormented(lab: Lab, route: Route, plan: Plan) -> str:
    receiver = lab.forward_server()
    torment = Torment(route, lab.folder / "run", lab.opensearch, receiver, plan, lab.tell)
    report = torment.run()
    lab.reports.append(report)
    lab.tell(report.figures())
    assert not report.verdict.misses, "\n".join(report.verdict.misses)
    missing = route.failpoints.keys() - report.reached.keys()
    assert not missing or not plan.each, f"never reached: {', '.join(sorted(missing))}"
    least = report.random * 3 // 5
    assert report.hits >= least, f"only {report.hits} of {report.random} kills hit one at work"
    return report.summary()
