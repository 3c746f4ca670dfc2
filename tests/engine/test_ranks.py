"""In which order messages are claimed: what has been due for longest comes first."""

from __future__ import annotations

from datetime import timedelta

from pgflow_django import engine, executor
from tests.engine.building import build
from tests.engine.database import messages, query, value
from tests.engine.invariants import check_consistency
from tests.engine.workers import HandWorker, sweep
from tests.waiting import wait_until

QUEUE = "pgmq.q_pgflow_default"


def claimed(worker: HandWorker, wanted: int = 10) -> list[str]:
    return [task.group.step_slug for task in worker.claim(wanted)]


def misranked() -> int:
    """How many messages have a rank that is not the moment at which they are due."""
    return int(value(f"select count(*) from {QUEUE} where enqueued_at <> vt"))


def make_due() -> None:
    """Let time pass until the last message is due."""
    query(
        f"update {QUEUE} q set vt = q.vt - late.by, enqueued_at = q.enqueued_at - late.by "
        f"from (select max(vt) - clock_timestamp() as by from {QUEUE}) as late"
    )


def test_every_way_into_a_queue_ranks_a_message_by_when_it_is_due() -> None:
    build("flow", {"now": [], "later": [], "each*": []}, options={"later": {"start_delay": 60}})
    run = executor.start_flow("flow", [1, 2, 3])
    assert misranked() == 0
    worker = HandWorker()
    tasks = worker.claim(10)
    worker.fail(tasks[0], delay=30)
    worker.release(tasks[1])
    worker.die()
    sweep()
    messages = [task.group.step_slug for task in tasks]
    assert sorted(messages) == ["each", "each", "each", "now"]
    assert value(f"select count(*) from {QUEUE}") == 5
    assert misranked() == 0
    assert value(f"select count(*) from {QUEUE} where vt > clock_timestamp()") == 2
    executor.cancel_run(run.id)
    executor.retry_run(run.id)
    assert misranked() == 0


def test_what_has_been_due_for_longest_is_claimed_first() -> None:
    build("slow", {"delayed": []}, options={"delayed": {"start_delay": 60}})
    build("quick", {"prompt": []})
    executor.start_flow("slow", {})
    executor.start_flow("quick", {})
    make_due()
    worker = HandWorker()
    assert [*claimed(worker, 1), *claimed(worker, 1)] == ["prompt", "delayed"]


def test_what_is_delayed_is_not_claimed_and_says_when_it_will_be() -> None:
    build("slow", {"delayed": []}, options={"delayed": {"start_delay": 60}})
    executor.start_flow("slow", {})
    worker = HandWorker()
    assert claimed(worker) == []
    due = engine.next_visible(worker.id, using="default")
    assert due is not None
    assert 50 < due <= 60


def test_the_rest_of_a_range_waits_behind_what_is_there() -> None:
    build("wide", {"each*": []})
    build("other", {"each_other*": []})
    build("one", {"single": []})
    executor.start_flow("wide", list(range(20)))
    executor.start_flow("other", list(range(3)))
    executor.start_flow("one", {})
    worker = HandWorker()
    assert claimed(worker, 5) == ["each"] * 5
    assert claimed(worker, 2) == ["each_other"] * 2
    executor.start_flow("one", {})  # behind the rests
    assert claimed(worker, 1) == ["single"]
    assert claimed(worker, 20) == ["each"] * 15 + ["each_other", "single"]
    assert claimed(worker) == []


def test_what_is_handed_back_of_a_range_is_one_message_for_each_row_of_neighbours() -> None:
    build("wide", {"each*": []})
    run = executor.start_flow("wide", list(range(10)))
    worker = HandWorker()
    tasks = worker.claim(10)
    assert worker.release(*tasks[1:4], *tasks[6:]) == 7
    assert [(m["task_index"], m["count"]) for m in messages(run.id)] == [(1, 3), (6, 4)]
    assert sorted(task.index for task in worker.claim(10)) == [1, 2, 3, 6, 7, 8, 9]
    check_consistency()


def test_what_is_handed_back_of_a_range_joins_its_rest() -> None:
    build("wide", {"each*": []})
    run = executor.start_flow("wide", list(range(20)))
    worker = HandWorker()
    tasks = worker.claim(5)
    worker.release(*tasks[2:])
    assert [(m["task_index"], m["count"]) for m in messages(run.id)] == [(2, 18)]
    assert [task.index for task in worker.claim(20)] == list(range(2, 20))
    check_consistency()


def test_a_single_task_that_is_handed_back_has_its_place_again() -> None:
    build("first", {"a": []})
    build("second", {"b": []})
    executor.start_flow("first", {})
    executor.start_flow("second", {})
    worker = HandWorker()
    worker.release(*worker.claim(1))
    assert claimed(worker, 1) == ["a"]


# -- messages that others have written ---------------------------------------------------------


def as_before(delay: timedelta) -> None:
    """Rank messages as the functions before did: by when they were sent, whenever they are due."""
    query(f"update {QUEUE} set enqueued_at = vt, vt = vt + %s", delay)


def test_a_message_that_is_ranked_before_it_is_due_waits_and_comes() -> None:
    build("flow", {"a": []})
    executor.start_flow("flow", {})
    as_before(timedelta(milliseconds=300))
    worker = HandWorker()
    assert claimed(worker) == []
    assert 0 < (engine.next_visible(worker.id, using="default") or 0) < 1
    wait_until(lambda: claimed(worker) == ["a"], "the message")


def test_delayed_messages_at_the_head_hold_up_nobody() -> None:
    build("flow", {"a": []})
    executor.start_flows("flow", [{}] * 30)
    as_before(timedelta(hours=1))
    build("quick", {"prompt": []})
    executor.start_flow("quick", {})
    worker = HandWorker()
    assert engine.next_visible(worker.id, using="default") == 0
    assert claimed(worker) == ["prompt"]


def test_what_pgmq_itself_has_sent_is_claimed() -> None:
    build("flow", {"a": []})
    executor.start_flow("flow", {})
    (message,) = query(f"delete from {QUEUE} returning message::text")[0]
    query("select pgmq.send('pgflow_default', %s::jsonb)", message)
    assert claimed(HandWorker()) == ["a"]


def test_what_pgmq_has_made_visible_before_it_was_due_is_claimed() -> None:
    build("slow", {"delayed": []}, options={"delayed": {"start_delay": 3600}})
    executor.start_flows("slow", [{}] * 3)
    query(f"select pgmq.set_vt('pgflow_default', msg_id, 0) from {QUEUE} order by msg_id limit 2")
    worker = HandWorker()
    assert engine.next_visible(worker.id, using="default") == 0
    assert claimed(worker) == ["delayed"] * 2
    assert (engine.next_visible(worker.id, using="default") or 0) > 3000
