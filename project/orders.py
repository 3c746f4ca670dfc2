"""A small shop, made up: step functions that take a moment, so that one can watch a run."""

from __future__ import annotations

import time
from typing import Any

from pgflow_django import step_function
from pgflow_django.context import StepContext

JSON = dict[str, Any]
#: Seconds that a step takes, times the input's `pace`.
MOMENT = 0.8
DEFAULT_ORDERS = 12


def _work(input: JSON, share: float = 1.0) -> None:
    time.sleep(MOMENT * share * float(input.get("run", {}).get("pace", 1)))


@step_function
def list_orders(input: JSON) -> list[JSON]:
    """Get the day's orders: as many as the input's `orders`."""
    _work(input)
    count = int(input["run"].get("orders", DEFAULT_ORDERS))
    return [
        {"number": 1000 + n, "cents": 990 + 370 * (n % 7), "items": 1 + n % 3} for n in range(count)
    ]


@step_function
def check_stock(input: JSON) -> JSON:
    """Look whether one order can be sent."""
    time.sleep(MOMENT / 4)
    order = input["item"]
    return {**order, "is_there": order["number"] % 9 != 4}


@step_function
def charge_cards(input: JSON) -> JSON:
    """Charge the orders that can be sent; fails where the input says `broken_bank`."""
    _work(input)
    if input["run"].get("broken_bank"):
        raise ConnectionError("the bank's server does not answer: 503 Service Unavailable")
    return {"cents": sum(order["cents"] for order in input["check_stock"] if order["is_there"])}


@step_function
def print_labels(input: JSON) -> list[str]:
    """Write an address label for every order that can be sent."""
    _work(input)
    return [f"order {order['number']}" for order in input["check_stock"] if order["is_there"]]


@step_function
def reorder_stock(input: JSON, context: StepContext) -> int:
    """Ask the supplier for what is missing; the first attempt always meets a busy line."""
    _work(input, 0.5)
    if context.attempt == 1:
        raise TimeoutError("the supplier's line is busy")
    return sum(not order["is_there"] for order in input["check_stock"])


@step_function
def send_parcels(input: JSON) -> JSON:
    """Hand the labelled parcels to the post."""
    _work(input)
    return {"parcels": len(input["print_labels"])}


@step_function
def mail_report(input: JSON) -> str:
    """Tell the shop's owner how the day went."""
    _work(input, 0.5)
    earned = input["charge_cards"]["cents"] / 100
    return f"{input['send_parcels']['parcels']} parcels, {earned:.2f} earned"
