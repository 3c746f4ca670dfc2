"""A small shop, made up: step functions that take a moment, so that one can watch a run."""

from __future__ import annotations

import time
from typing import Any, TypedDict

from pgflow_django import step_function
from pgflow_django.context import StepContext

JSON = dict[str, Any]


class Order(TypedDict):
    """An order of the day."""

    number: int
    cents: int
    items: int


class CheckedOrder(Order):
    """An order, and whether all of it is in stock."""

    is_there: bool


class OneOrder(TypedDict):
    """A task of the map over orders."""

    item: Order


class Orders(TypedDict):
    """What the map over orders gave."""

    check_stock: list[CheckedOrder]
    run: Any


class Charged(TypedDict):
    """What was earned."""

    cents: int


class Parcels(TypedDict):
    """What was sent."""

    parcels: int


class Labels(TypedDict):
    """What the printer gave."""

    print_labels: list[str]
    run: Any


class Day(TypedDict):
    """What the owner is told."""

    charge_cards: Charged
    send_parcels: Parcels
    run: Any


#: Seconds that a step takes, times the input's `pace`.
MOMENT = 0.8
DEFAULT_ORDERS = 12


def _work(run: JSON, share: float = 1.0) -> None:
    time.sleep(MOMENT * share * float(run.get("pace", 1)))


@step_function(tags=["shop"], effects="reads")
def list_orders(input: JSON) -> list[Order]:
    """Get the day's orders: as many as the input's `orders`."""
    _work(input["run"])
    count = int(input["run"].get("orders", DEFAULT_ORDERS))
    return [
        {"number": 1000 + n, "cents": 990 + 370 * (n % 7), "items": 1 + n % 3} for n in range(count)
    ]


@step_function(map_only=True, tags=["shop"], effects="reads")
def check_stock(input: OneOrder, context: StepContext) -> CheckedOrder:
    """Look whether one order can be sent."""
    time.sleep(MOMENT / 4)
    order = input["item"]
    is_there = order["number"] % 9 != 4
    if is_there:
        context.log(f"order {order['number']}: all {order['items']} are there")
    else:
        context.log(f"order {order['number']}: nothing left", level="warning")
    return {**order, "is_there": is_there}


@step_function(tags=["shop"], effects="external")
def charge_cards(input: Orders) -> Charged:
    """Charge the orders that can be sent; fails where the input says `broken_bank`."""
    _work(input["run"])
    if input["run"].get("broken_bank"):
        raise ConnectionError("the bank's server does not answer: 503 Service Unavailable")
    return {"cents": sum(order["cents"] for order in input["check_stock"] if order["is_there"])}


@step_function(tags=["shop"], effects="none")
def print_labels(input: Orders) -> list[str]:
    """Write an address label for every order that can be sent."""
    _work(input["run"])
    return [f"order {order['number']}" for order in input["check_stock"] if order["is_there"]]


@step_function(tags=["shop"], effects="external")
def reorder_stock(input: Orders, context: StepContext) -> int:
    """Ask the supplier for what is missing; the first attempt always meets a busy line."""
    _work(input["run"], 0.5)
    if context.attempt == 1:
        raise TimeoutError("the supplier's line is busy")
    return sum(not order["is_there"] for order in input["check_stock"])


@step_function(tags=["shop"], effects="external")
def send_parcels(input: Labels) -> Parcels:
    """Hand the labelled parcels to the post."""
    _work(input["run"])
    return {"parcels": len(input["print_labels"])}


@step_function(tags=["shop"], effects="external")
def mail_report(input: Day) -> str:
    """Tell the shop's owner how the day went."""
    _work(input["run"], 0.5)
    earned = input["charge_cards"]["cents"] / 100
    return f"{input['send_parcels']['parcels']} parcels, {earned:.2f} earned"
