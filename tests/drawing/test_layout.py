"""The layout of flows: what holds for every graph, and what a reader sees in small ones."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgflow_django.drawing.layout import (
    Direction,
    Layout,
    Node,
    PlacedNode,
    compute_layout,
    find_scale,
)

DIRECTIONS: tuple[Direction, ...] = ("LR", "TB")
QUICK = settings(max_examples=40)


def make_nodes(flow: Mapping[str, Iterable[str]]) -> list[Node]:
    return [Node(slug, tuple(depends_on)) for slug, depends_on in flow.items()]


def make_layers(layer_count: int, width: int) -> list[Node]:
    """Return layers in which every step waits for every step of the layer before."""
    return [
        Node(f"s{rank}_{i}", [f"s{rank - 1}_{j}" for j in range(width)] if rank else ())
        for rank in range(layer_count)
        for i in range(width)
    ]


def scatter(number: int, below: int) -> int:
    """Return a number from 0 to ``below`` that looks random but is always the same."""
    return (number * 2654435761 % 2**32) * below >> 32


def make_scattered_nodes(count: int, edge_count: int) -> list[Node]:
    edges: set[tuple[int, int]] = set()
    for number in range(10 * edge_count):
        step = 1 + scatter(2 * number, count - 1)
        if len(edges) < edge_count:
            edges.add((scatter(2 * number + 1, step), step))
    return [
        Node(f"s{step}", [f"s{parent}" for parent in range(step) if (parent, step) in edges])
        for step in range(count)
    ]


@st.composite
def draw_flows(draw: st.DrawFn) -> list[Node]:
    """Draw a flow without cycles, its steps in any order, of mixed kinds and name lengths."""
    count = draw(st.integers(0, 24))
    density = draw(st.sampled_from([0.05, 0.15, 0.4]))
    chance = draw(st.randoms(use_true_random=False))
    slugs = [f"s{i}_" + "x" * chance.choice([0, 3, 15, 40]) for i in range(count)]
    nodes = []
    for i, slug in enumerate(slugs):
        dependencies = [other for other in slugs[:i] if chance.random() < density]
        chance.shuffle(dependencies)
        nodes.append(Node(slug, dependencies, kind=chance.choice(["single", "map"])))
    chance.shuffle(nodes)
    return nodes


def list_expected_edges(nodes: Iterable[Node]) -> list[tuple[str, str]]:
    return sorted((parent, node.slug) for node in nodes for parent in node.depends_on)


def sample_path(path: str) -> Iterator[tuple[float, float]]:
    """Yield points on an SVG path of M, L and C commands."""
    x = y = 0.0
    for command, text in re.findall(r"([MLC])([-\d. ]+)", path):
        numbers = [float(number) for number in text.split()]
        ends = list(zip(numbers[::2], numbers[1::2], strict=True))
        if command == "C":
            (ax, ay), (bx, by), (cx, cy) = ends
            for step in range(1, 20):
                t = step / 20
                p, q, r, s = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
                yield p * x + q * ax + r * bx + s * cx, p * y + q * ay + r * by + s * cy
        elif command == "L":
            for step in range(1, 20):
                t = step / 20
                yield x + t * (ends[0][0] - x), y + t * (ends[0][1] - y)
        x, y = ends[-1]
        yield x, y


def overlap(one: PlacedNode, other: PlacedNode) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def covers(card: PlacedNode, point: tuple[float, float]) -> bool:
    x, y = point
    return card.x < x < card.x + card.width and card.y < y < card.y + card.height


def find_cards(layout: Layout) -> dict[str, PlacedNode]:
    return {card.slug: card for card in layout.nodes}


@QUICK
@given(draw_flows(), st.sampled_from(DIRECTIONS))
def test_every_step_and_edge_is_placed_once_on_the_canvas(
    nodes: list[Node], direction: Direction
) -> None:
    layout = compute_layout(nodes, direction=direction)
    assert sorted(card.slug for card in layout.nodes) == sorted(node.slug for node in nodes)
    assert sorted((edge.source, edge.target) for edge in layout.edges) == list_expected_edges(nodes)
    for card in layout.nodes:
        assert 0 <= card.x <= layout.width - card.width
        assert 0 <= card.y <= layout.height - card.height
    for edge in layout.edges:
        for x, y in sample_path(edge.path + edge.arrow):
            assert 0 <= x <= layout.width
            assert 0 <= y <= layout.height


@QUICK
@given(draw_flows(), st.sampled_from(DIRECTIONS))
def test_no_two_cards_overlap(nodes: list[Node], direction: Direction) -> None:
    cards = compute_layout(nodes, direction=direction).nodes
    assert not [pair for pair in combinations(cards, 2) if overlap(*pair)]


@QUICK
@given(draw_flows(), st.sampled_from(DIRECTIONS))
def test_edges_join_their_cards_and_always_go_forward(
    nodes: list[Node], direction: Direction
) -> None:
    layout = compute_layout(nodes, direction=direction)
    cards, along = find_cards(layout), 0 if direction == "LR" else 1
    for edge in layout.edges:
        source, target = cards[edge.source], cards[edge.target]
        assert source.rank < target.rank
        assert edge.points[0] == source.outlet
        assert edge.points[-1] == target.inlet
        assert all(here[along] < there[along] for here, there in pairwise(edge.points))
        places = [point[along] for point in sample_path(edge.path)]
        assert places == sorted(places)


@QUICK
@given(draw_flows(), st.sampled_from(DIRECTIONS))
def test_no_edge_runs_beneath_a_card(nodes: list[Node], direction: Direction) -> None:
    layout = compute_layout(nodes, direction=direction)
    for edge in layout.edges:
        points = list(sample_path(edge.path))
        hidden = [card.slug for card in layout.nodes for point in points if covers(card, point)]
        assert not hidden, f"{edge.source} -> {edge.target} runs beneath {hidden}"


@QUICK
@given(draw_flows(), st.sampled_from(DIRECTIONS))
def test_nodes_come_in_reading_order_by_rank_and_order(
    nodes: list[Node], direction: Direction
) -> None:
    """The keyboard walks by these numbers."""
    layout = compute_layout(nodes, direction=direction)
    across = 1 if direction == "LR" else 0
    places = [(card.rank, card.order) for card in layout.nodes]
    assert places == sorted(places)
    for rank in {card.rank for card in layout.nodes}:
        members = [card for card in layout.nodes if card.rank == rank]
        assert [card.order for card in members] == list(range(len(members)))
        levels = [card.inlet[across] for card in members]
        assert levels == sorted(levels)


@QUICK
@given(draw_flows(), st.randoms(use_true_random=False))
def test_the_same_flow_always_looks_the_same(nodes: list[Node], chance: random.Random) -> None:
    """Also if the dependencies of its steps are listed in another order, or twice."""
    shuffled = [
        Node(node.slug, chance.sample([*node.depends_on], len(node.depends_on)), kind=node.kind)
        for node in nodes
    ]
    first = compute_layout(nodes)
    assert compute_layout(nodes) == first
    assert describe(compute_layout(shuffled)) == describe(first)
    doubled = [Node(node.slug, [*node.depends_on] * 2, kind=node.kind) for node in nodes]
    assert describe(compute_layout(doubled)) == describe(first)


def describe(layout: Layout) -> list[object]:
    """Return everything of a layout but the nodes that went in."""
    cards = [(card.slug, card.x, card.y, card.width, card.rank) for card in layout.nodes]
    return [layout.direction, layout.width, layout.height, cards, layout.edges]


def test_the_layout_does_not_depend_on_the_hash_seed() -> None:
    script = (
        "from tests.drawing.test_layout import make_scattered_nodes, compute_layout\n"
        "print(compute_layout(make_scattered_nodes(60, 90)))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


@QUICK
@given(draw_flows(), st.tuples(st.integers(100, 3000), st.integers(100, 3000)))
def test_auto_takes_the_direction_that_shows_the_flow_larger(
    nodes: list[Node], viewport: tuple[int, int]
) -> None:
    scales = {}
    for direction in DIRECTIONS:
        layout = compute_layout(nodes, direction=direction)
        scales[direction] = find_scale((layout.width, layout.height), viewport)
    chosen = compute_layout(nodes, viewport=viewport).direction
    assert scales[chosen] == max(scales.values())
    if scales["LR"] == scales["TB"]:
        assert chosen == "LR"


@pytest.mark.parametrize(("layers", "width", "direction"), [(60, 3, "TB"), (4, 50, "LR")])
def test_auto_judges_large_flows_by_their_layers(
    layers: int, width: int, direction: Direction
) -> None:
    assert compute_layout(make_layers(layers, width), viewport=(640, 960)).direction == direction


@given(draw_flows().filter(lambda nodes: any(node.depends_on for node in nodes)), st.data())
@QUICK
def test_a_cycle_is_refused_and_named(nodes: list[Node], data: st.DataObject) -> None:
    """Close a cycle by letting a step wait for one that comes after it."""
    source, target = data.draw(st.sampled_from(list_expected_edges(nodes)))
    closed = [
        Node(node.slug, [*node.depends_on, target]) if node.slug == source else node
        for node in nodes
    ]
    with pytest.raises(ValueError, match="wait for each other: ") as caught:
        compute_layout(closed)
    cycle = str(caught.value).split(": ")[1].split(" -> ")
    waits_for = {node.slug: node.depends_on for node in closed}
    assert cycle[0] == cycle[-1]
    assert len(set(cycle)) == len(cycle) - 1
    assert all(parent in waits_for[step] for parent, step in pairwise(cycle))


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([Node("a", ["a"])], "these steps wait for each other: a -> a"),
        (
            make_nodes({"a": ["c"], "b": ["a"], "c": ["b"], "d": ["c"]}),
            "these steps wait for each other: a -> b -> c -> a",
        ),
        ([Node("a", ["b"])], "step 'a' waits for 'b', which does not exist"),
        ([Node("a"), Node("a")], "two steps are called 'a'"),
    ],
)
def test_flows_that_cannot_be_drawn_are_refused(nodes: Sequence[Node], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        compute_layout(nodes)


def test_an_empty_flow_takes_no_room() -> None:
    for direction in (*DIRECTIONS, "auto"):
        layout = compute_layout([], direction=direction)  # type: ignore[arg-type]
        assert (layout.width, layout.height, layout.nodes, layout.edges) == (0, 0, (), ())


def test_a_single_step_fills_the_canvas() -> None:
    layout = compute_layout([Node("only")])
    (card,) = layout.nodes
    assert (card.x, card.y, card.rank, card.order) == (0, 0, 0, 0)
    assert (layout.width, layout.height) == (card.width, card.height) == (190, 60)


def test_steps_in_sequence_stand_on_one_level_with_straight_edges() -> None:
    layout = compute_layout(make_nodes({"fetch": [], "process": ["fetch"], "save": ["process"]}))
    assert layout.direction == "LR"
    assert [(card.slug, card.y) for card in layout.nodes] == [
        ("fetch", 0),
        ("process", 0),
        ("save", 0),
    ]
    assert [edge.path for edge in layout.edges] == ["M190 30L246 30", "M444 30L500 30"]
    assert [edge.arrow for edge in layout.edges] == [
        "M245 25 254 30 245 35Z",
        "M499 25 508 30 499 35Z",
    ]


def test_a_flow_from_top_to_bottom_is_drawn_downwards() -> None:
    layout = compute_layout(make_nodes({"fetch": [], "save": ["fetch"]}), direction="TB")
    assert [(card.x, card.y) for card in layout.nodes] == [(0, 0), (0, 116)]
    assert [edge.path for edge in layout.edges] == ["M95 60L95 108"]
    assert [edge.arrow for edge in layout.edges] == ["M90 107 95 116 100 107Z"]


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_an_edge_that_skips_ranks_passes_them_straight(direction: Direction) -> None:
    flow = {"a": [], "b": ["a"], "c": ["b"], "d": ["c"], "e": ["d", "a"]}
    layout = compute_layout(make_nodes(flow), direction=direction)
    (long,) = (edge for edge in layout.edges if (edge.source, edge.target) == ("a", "e"))
    assert long.path.count("C") <= 2
    assert len(long.points) <= 4


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_fan_is_symmetrical(direction: Direction) -> None:
    flow = {"split": [], "a": ["split"], "b": ["split"], "c": ["split"], "join": ["a", "b", "c"]}
    cards = find_cards(compute_layout(make_nodes(flow), direction=direction))
    across = 1 if direction == "LR" else 0
    levels = {slug: card.inlet[across] for slug, card in cards.items()}
    assert levels["split"] == levels["b"] == levels["join"]
    assert levels["b"] - levels["a"] == levels["c"] - levels["b"] > 0


def test_edges_do_not_cross_where_they_need_not() -> None:
    flow = {"a": [], "b": [], "c": [], "x": ["c"], "y": ["b"], "z": ["a"], "end": ["x", "y", "z"]}
    cards = find_cards(compute_layout(make_nodes(flow), direction="LR"))
    assert [cards[slug].y for slug in "abc"] == [cards[slug].y for slug in "zyx"]


def test_a_source_stands_close_to_what_waits_for_it() -> None:
    flow = {"a": [], "b": ["a"], "c": ["b"], "rates": [], "d": ["c", "rates"]}
    cards = find_cards(compute_layout(make_nodes(flow)))
    assert cards["rates"].rank == cards["c"].rank == 2


def test_few_steps_move_where_one_is_added_to_many() -> None:
    nodes = make_scattered_nodes(100, 150)
    before = find_cards(compute_layout(nodes, direction="LR"))
    for number in range(4):
        nodes.append(Node(f"new_{number}", ()))
        after = find_cards(compute_layout(nodes, direction="LR"))
        kept = [card for slug, card in before.items() if after[slug].x == card.x]
        kept = [card for card in kept if after[card.slug].y == card.y]
        assert len(kept) > len(before) * 2 / 3
        before = after


def test_steep_edges_get_wider_gaps() -> None:
    flow = {"root": (), **{f"s{i}": ["root"] for i in range(40)}}
    fan = find_cards(compute_layout(make_nodes(flow), direction="LR"))
    pair = find_cards(compute_layout(make_nodes({"root": [], "s0": ["root"]}), direction="LR"))
    assert fan["s0"].x > pair["s0"].x


def test_cards_are_as_wide_as_their_text_within_limits() -> None:
    nodes = [
        Node("a"),
        Node("validate_customers"),
        Node("b", title="A title that is longer than any card"),
        Node("c", subtitle="shop.checks.validate_orders"),
        Node("d", kind="map"),
    ]
    widths = {
        slug: card.width for slug, card in find_cards(compute_layout(nodes, direction="TB")).items()
    }
    assert widths["a"] == 190
    assert 190 < widths["validate_customers"] < 260
    assert widths["b"] == 260
    assert 190 < widths["c"] <= 260
    assert widths["d"] == 220


def test_the_cards_of_a_column_are_equally_wide() -> None:
    layout = compute_layout([Node("a"), Node("a_rather_long_name")], direction="LR")
    one, other = layout.nodes
    assert one.width == other.width > 190


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param([Node(f"s{i}", [f"s{i - 1}"] if i else ()) for i in range(500)], id="chain"),
        pytest.param([Node("root"), *(Node(f"s{i}", ["root"]) for i in range(500))], id="fan"),
        pytest.param(make_layers(10, 40), id="dense"),
        pytest.param(make_scattered_nodes(300, 422), id="random"),
    ],
)
def test_large_flows_are_laid_out_without_overlap(nodes: list[Node], direction: Direction) -> None:
    layout = compute_layout(nodes, direction=direction)
    assert len(layout.nodes) == len(nodes)
    assert len(layout.edges) == sum(len(node.depends_on) for node in nodes)
    along, across = (0, 1) if direction == "LR" else (1, 0)
    starts: dict[int, set[int]] = {}
    for card, following in pairwise(layout.nodes):
        starts.setdefault(card.rank, set()).add((card.x, card.y)[along])
        if card.rank == following.rank:
            size = (card.width, card.height)[across]
            assert (card.x, card.y)[across] + size < (following.x, following.y)[across]
    assert all(len(places) == 1 for places in starts.values())


def test_the_longest_of_very_many_long_edges_go_around_the_drawing() -> None:
    """Otherwise the largest flows, over hundreds of ranks, would need millions of bends."""
    parents = [{i - 1, *(scatter(9 * i + k, i) for k in range(9))} for i in range(1, 2000)]
    nodes = [Node(f"s{i}", [f"s{j}" for j in some]) for i, some in enumerate(parents, start=1)]
    layout = compute_layout([Node("s0"), *nodes], direction="LR")
    assert len(layout.edges) == sum(map(len, parents))
    bottom = max(card.y + card.height for card in layout.nodes)
    around = [edge for edge in layout.edges if any(y > bottom for _, y in edge.points)]
    assert around
    for edge in around[::2000]:
        points = list(sample_path(edge.path))
        assert not [card for card in layout.nodes for point in points if covers(card, point)]
