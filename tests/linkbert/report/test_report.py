"""The report's HTML: whole, closed in itself, escaped, and with figures that add up."""

import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from linkbert.cli.commands import main
from linkbert.inspection.corpus import Corpus
from linkbert.report import write_report
from linkbert.report.appearance import _held_out, expected_by_weighting
from linkbert.report.corpus_chapter import steps_of, text_lengths
from linkbert.report.examples import choose_examples
from linkbert.report.markup import Chapter, Section, table
from linkbert.report.neighbourhood import _place_labels, draw_neighbourhood, neighbourhood
from linkbert.report.plots import curve_plot, degree_plot, histogram_plot, rank_plot
from linkbert.report.run_chapter import read_lines
from schemas.errors import GraphError, SchemaError
from schemas.manifest import read_manifest, write_manifest
from schemas.tables.instances import LINKED
from tests.linkbert.inspection.odd_corpus import EVIL, TITLES, write_odd_corpus

_VOID = {"meta", "link", "input", "br", "img"}


class Outline(HTMLParser):
    """What a page holds: ids, links, sources, text, and whether its tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self.addresses: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "xlink:href"):
                self.links.append(value or "")
            if name in ("src", "action", "data", "poster", "srcset") or name.startswith("on"):
                self.addresses.append(f"{name}={value}")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open, tag
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def close(self) -> None:
        super().close()
        assert self._open == []


def outline_of(path: Path) -> Outline:
    outline = Outline()
    outline.feed(path.read_text(encoding="utf-8"))
    outline.close()
    return outline


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_odd_corpus(tmp_path_factory.mktemp("odd"))


@pytest.fixture(scope="module")
def odd_report(odd: Path) -> Path:
    return Path(write_report(odd, odd.parent / "odd.html", around=TITLES[3]).report)


def test_titles_with_markup_are_text(odd_report: Path) -> None:
    outline = outline_of(odd_report)
    assert outline.tags.count("script") == 1
    assert "img" not in outline.tags
    assert "b" in outline.tags  # of the flow
    text = "".join(outline.text)
    assert EVIL in text
    for title in TITLES:
        assert title.replace("\u202e", "\ufffd").replace("\x1b", "\ufffd") in text
    assert "\u202e" not in odd_report.read_text(encoding="utf-8")
    assert "\x1b" not in odd_report.read_text(encoding="utf-8")


def test_the_page_needs_nothing_from_outside(odd_report: Path) -> None:
    outline = outline_of(odd_report)
    assert outline.addresses == []
    outside = [link for link in outline.links if not link.startswith("#")]
    assert outside == ["data:,"]
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org)", odd_report.read_text())


def test_every_link_has_its_place_and_ids_are_distinct(odd_report: Path) -> None:
    outline = outline_of(odd_report)
    assert len(set(outline.ids)) == len(outline.ids)
    assert {link[1:] for link in outline.links if link.startswith("#")} <= set(outline.ids)
    assert any(link.startswith("#page-") for link in outline.links)
    text = odd_report.read_text()
    used = re.findall(r"url\(#([^)]+)\)", text) + re.findall(r'aria-\w+="(examples[\w-]+)"', text)
    assert len(used) > 2
    assert set(used) <= set(outline.ids)


def test_the_same_folder_gives_the_same_bytes(odd: Path, odd_report: Path) -> None:
    again = odd.parent / "again.html"
    write_report(odd, again, around=TITLES[3])
    assert again.read_bytes() == odd_report.read_bytes()


def test_folders_of_one_kind_keep_their_links_apart(odd: Path) -> None:
    folder = odd.parent / "both"
    folder.mkdir(exist_ok=True)
    for name in ("one", "two"):
        write_odd_corpus(folder / name)
    outline = outline_of(Path(write_report(folder).report))
    assert len(set(outline.ids)) == len(outline.ids)
    assert {link[1:] for link in outline.links if link.startswith("#")} <= set(outline.ids)


def test_the_flow_adds_up(odd: Path) -> None:
    for step in steps_of(Corpus(odd)):
        assert step.came_in - step.went_on == sum(step.lost.values()), step


def test_dropped_pages_are_named_by_their_namespace_where_the_dump_names_it(odd: Path) -> None:
    folder = odd / "pages"
    manifest = read_manifest(folder)
    extra = {**manifest.extra, "siteinfo": {"namespace_names": {"10": "Veidne", "0": ""}}}
    drops = {"namespace_10": 5, "namespace_99": 2, "redirect": 1}
    write_manifest(folder, replace(manifest, extra=extra, drops=drops))
    assert steps_of(Corpus(odd))[0].lost == {
        "Veidne (namespace 10)": 5,
        "namespace 99": 2,
        "redirect": 1,
    }
    write_manifest(folder, manifest)


def test_examples_hang_together_and_are_the_same_each_time(odd: Path) -> None:
    chosen = choose_examples(Corpus(odd), 5, 3)
    assert len(set(chosen)) == 8
    assert chosen == choose_examples(Corpus(odd), 5, 3)
    # The most linked page comes first: all hatnotes lead to it.
    assert chosen[0] == int(np.argmax(Corpus(odd).degrees("in")))
    assert len(choose_examples(Corpus(odd), 50, 50)) == len(TITLES)


def test_a_neighbourhood_holds_the_edges_among_its_nodes(odd: Path) -> None:
    corpus = Corpus(odd)
    node = corpus.nodes_by_id([3])[3]
    found = neighbourhood(corpus, node, limit=2)
    assert found.start == 3
    expected = {
        (source, target)
        for source in found.nodes
        for target in corpus.neighbours(source, "out").tolist()
        if target in found.nodes
    }
    assert set(found.edges) == expected
    assert expected


def test_labels_cover_neither_each_other_nor_a_node_and_stay_inside() -> None:
    nodes = {n: {"title": f"A title of some length {n}", "in_degree": n} for n in range(4)}
    places = {0: (100.0, 100.0), 1: (110.0, 103.0), 2: (500.0, 100.0), 3: (105.0, 108.0)}
    labels = _place_labels(nodes, places, start=3)
    for first, label in labels.items():
        low, high = label.span()
        assert low >= 0
        assert high <= 640
        for other, (x, y) in places.items():
            assert first == other or not label.overlaps(labels[other])
            assert first == other or not label.touches((x, y, 3.0))
    assert [labels[n].is_left for n in range(4)] == [False, False, True, False]


@pytest.mark.end_to_end
@pytest.mark.parametrize("scope", ["segment", "document"])
def test_expected_appearances_sum_to_the_pairs_and_follow_the_weights(
    demo: Path, scope: str
) -> None:
    corpus = Corpus(demo / "corpus")
    in_degrees, no_segment = corpus.degrees("in"), set(range(corpus.num_nodes))
    rows = pq.read_table(corpus.path / "segments").to_pylist()
    no_segment -= {row["node_id"] for row in rows}
    held_out = np.array([rows[0]["node_id"], rows[-1]["node_id"]], np.int32)
    closed = no_segment | set(held_out.tolist())
    linked: list[dict[str, int]] = []
    by_hand = {"weighted by 1 / in-degree": Counter(), "uniform": Counter()}
    for row in rows:
        node = row["node_id"]
        found = row["target_ids"] if scope == "segment" else corpus.neighbours(node, "out").tolist()
        targets = [target for target in found if target not in closed and target != node]
        if not targets:
            continue
        linked += [{"source_id": node, "source_segment": row["segment_index"]}] * 2
        total = sum(1 / in_degrees[target] for target in targets)
        for target in targets:
            by_hand["uniform"][target] += 2 / len(targets)
            by_hand["weighted by 1 / in-degree"][target] += 2 / in_degrees[target] / total
    expected = expected_by_weighting(corpus, pa.Table.from_pylist(linked), scope, held_out)
    assert no_segment
    assert len(linked) > 1_000
    for way, values in by_hand.items():
        assert expected[way].sum() == pytest.approx(len(linked))
        assert expected[way] == pytest.approx(np.array([values[n] for n in range(len(in_degrees))]))


@pytest.mark.end_to_end
def test_what_was_drawn_is_what_was_expected(demo: Path) -> None:
    columns = pq.read_table(demo / "shards" / "train")
    linked = columns.filter(pc.equal(columns.column("relation"), LINKED))
    corpus, held_out = Corpus(demo / "corpus"), _held_out(demo / "shards", 0)
    scope = read_manifest(demo / "shards" / "train").config["link_scope"]
    expected = expected_by_weighting(corpus, linked, scope, held_out)["weighted by 1 / in-degree"]
    drawn = np.bincount(linked.column("target_id").to_numpy(), minlength=corpus.num_nodes)
    assert not drawn[expected == 0].any()
    assert (np.abs(drawn - expected) < 1 + 5 * np.sqrt(expected)).all()


def test_figures_stand_to_the_right_and_words_to_the_left() -> None:
    found = table(["arm", "pairs"], [["bert", "1,234"], ["linkbert", ""]])
    assert '<th scope="col">arm</th><th scope="col" class="number">pairs</th>' in found
    assert '<td>linkbert</td><td class="number"></td>' in found


def test_a_single_validation_has_its_step_and_no_quarters_around_it() -> None:
    for steps, wanted in (([20], ["20"]), ([1, 2, 3], ["1", "2", "3"])):
        svg = curve_plot("c", {"a": (steps, [0.5] * len(steps))}, "y", markers=True)
        words = ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter() if
                 node.tag.endswith("text")]  # fmt: skip
        assert [word for word in words if word in wanted] == wanted
        assert not any(word in words for word in ("19.75", "1.5"))


def test_text_lengths_are_code_points(odd: Path) -> None:
    lengths, num_pages = text_lengths(Corpus(odd))
    assert num_pages == len(lengths) == len(TITLES)
    first = Corpus(odd).page(Corpus(odd).nodes_by_id([0])[0])
    assert lengths[0] == len(first["text"])


@pytest.mark.parametrize(
    "svg",
    [
        degree_plot({"in": {0: 3, 1: 10, 500: 1}, "out": {}}),
        degree_plot({"in": {}, "out": {0: 1}}),
        histogram_plot("h", [], "x"),
        histogram_plot("h", [7], "x", log=True),
        histogram_plot("h", [0, 0], "x", log=True),
        rank_plot("r", {"a": [1, 0, 5], "b": []}, "y"),
        rank_plot("r", {}, "y"),
    ],
)
def test_plots_of_much_and_of_nothing_are_whole_and_take_the_colours_of_the_page(svg: str) -> None:
    ElementTree.fromstring(svg)
    assert "<text" in svg  # letters stay letters
    assert not re.findall(r"#(?:010203|0a0b0c|10000\d)", svg)
    assert "currentColor" in svg


def test_a_chapter_renamed_renames_its_links() -> None:
    body = '<a href="#page-1"></a><p id="page-1" aria-controls="x">url(#c1)</p>'
    chapter = Chapter("corpus", "C", [Section("s", "S", body)]).renamed("-2")
    assert chapter.sections[0].body == (
        '<a href="#page-1-2"></a><p id="page-1-2" aria-controls="x-2">url(#c1-2)</p>'
    )


def test_a_run_has_its_curves_while_it_goes_on(finished_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    lines = [{"step": step, "scores": {"macro_f1": 40.0 + step}} for step in (0, 10, 20)]
    (run / "downstream.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = write_report(run, tmp_path / "run.html")
    assert result.chapters == ["Run"]
    text = "".join(outline_of(tmp_path / "run.html").text)
    assert "20 of 20" in text
    assert "MLM loss, nat" in text
    assert "macro f1" in text
    assert "60.0" in text
    damaged = tmp_path / "metrics.jsonl"
    damaged.write_text('{"step": 1}\n{"step"')
    assert read_lines(damaged) == [{"step": 1}]
    damaged.write_text("nonsense\n")
    with pytest.raises(SchemaError, match=r"damage in .*metrics\.jsonl"):
        read_lines(damaged)


def contrast(kind: str, difference: float | None, arm: str = "linkbert") -> dict[str, Any]:
    interval = None if difference is None else [difference - 1, difference + 1]
    return {
        "kind": kind,
        "arm": arm,
        "against": "bert",
        "measure": "gain",
        "split": "validation",
        "difference": difference,
        "interval": interval,
        "by_seed": [difference, None],
        "verdict": "not shown",
        "sentence": f"Not shown: {arm} <gains> {difference}.",
    }


def test_each_chapter_has_its_verdict_on_top(odd: Path, odd_report: Path) -> None:
    text = odd_report.read_text()
    summary = text[text.index('<section class="summary"') : text.index("<nav")]
    corpus = Corpus(odd)
    num_pages = corpus.manifest("pages").rows_out
    assert f"{num_pages:,} documents" in summary
    fates = corpus.manifest("mentions").extra["fates"]
    leads = fates["resolved"] + fates["redirect"]
    assert f"{leads:,} of {sum(fates.values()):,} links lead to one of them" in summary


def test_every_edge_of_a_neighbourhood_is_an_arrow_that_ends_at_its_node(odd: Path) -> None:
    corpus = Corpus(odd)
    node = corpus.most_linked(1)[0]
    shown = neighbourhood(corpus, node)
    alone = replace(shown, nodes={shown.start: shown.nodes[shown.start]}, edges=[])
    assert draw_neighbourhood(alone, ()).endswith("No link leads to or from another document.</p>")
    drawn = draw_neighbourhood(shown, ())
    assert drawn.count(f'marker-end="url(#neighbours-{shown.start}-arrow)"') == len(shown.edges)
    assert drawn.count(f'<marker id="neighbours-{shown.start}-arrow"') == 1
    line = re.search(r'x1="(\d+)" y1="(\d+)" x2="([\d.]+)" y2="([\d.]+)"', drawn)
    assert line is not None
    circles = re.findall(r'cx="(\d+)" cy="(\d+)" r="([\d.]+)"', drawn)
    end = float(line[3]), float(line[4])
    gaps = [
        abs(float(np.hypot(float(x) - end[0], float(y) - end[1])) - float(r) - 2)
        for x, y, r in circles
    ]
    assert min(gaps) < 1.5  # coordinates of nodes are rounded


def test_an_experiment_shows_its_sentences_and_intervals(tmp_path: Path) -> None:
    measured = {"gain": {"value": 0.5, "interval": [0.25, 0.75], "by_seed": [0.5]}}
    results = {
        "config": {"arms": ["bert", "linkbert"]},
        "seeds": [0, 1],
        "tokens_differ": 0.01,
        "contrasts": [contrast("primary", 0.5), contrast("guard", None, "other")],
        "measures": {"validation": {"num_pairs": [3, 4], "arms": {"bert": measured}}},
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    report = write_report(tmp_path)
    assert len(report.chapters) == 1
    text = "".join(outline_of(Path(report.report)).text)
    assert "Not shown: linkbert <gains> 0.5." in text
    assert "Not shown: other <gains> None." in text
    assert "0.5000 (-0.5000 to 1.5000)" in text
    assert "Of 1 primary hypotheses 0 supported, 0 contradicted, 1 not shown." in text
    assert "0.5000 (0.2500 to 0.7500)" in text
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(SchemaError, match="found none of config, contrasts"):
        write_report(tmp_path)


def test_what_is_no_folder_of_ours_and_an_unknown_title_are_one_line(
    odd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SchemaError, match="expected a corpus, a data set, a run or"):
        write_report(tmp_path)
    with pytest.raises(SchemaError, match="expected a corpus, a data set, a run or"):
        write_report(tmp_path / "missing")
    with pytest.raises(GraphError, match="expected the title of a document"):
        write_report(odd, tmp_path / "x.html", around="Nobody")
    assert not (tmp_path / "x.html").exists()
    assert main(["report", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command_says_where_the_report_lies(
    odd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.html"
    assert main(["report", str(odd), "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["report"] == str(out)
    assert said["num_bytes"] == out.stat().st_size
