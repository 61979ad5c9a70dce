"""Tables, JSON and charts of made-up numbers: python3 -m unittest benches/versus_test.py"""

import json
import sys
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from versus import report, svg
from versus.rows import all_rows, chosen, cut

ROWS = {row.name: row for row in all_rows()}
RATES = {"fma": 200.0, "int8": 800.0, "read": 20.0, "write": 10.0, "copy": 20.0, "triad": 20.0}


def made_up(name, threads=1, failed=None, **times):
    """A record as race.py makes it, times in seconds."""
    record = {"row": name, "group": ROWS[name].group, "threads": threads, "failed": failed or {}, "others": 0.0}
    return record | {"times": {who.replace("_", " "): seen for who, seen in times.items()}, "rates": RATES}


def document(*records):
    entries = [report.summary(record, ROWS[record["row"]]) for record in records]
    about = {"date": "2026-01-01", "cpu": "A <CPU>", "cores": 2, "commit": "abc", "rounds": 3, "load": 0.1}
    threads = {record["threads"] for record in records}
    about |= {"floors": {count: RATES for count in threads}, "floor_bytes": 1 << 30, "versions": {"ours": "0.1"}}
    return about | {"rows": entries, "means": report.geometric_means(entries)}


PEERS = {"PyTorch": [0.001] * 3, "ONNX_Runtime": [0.003] * 3}
PRODUCT = made_up("matmul 512x512x512", ours=[0.002, 0.004, 0.002], **PEERS)
SOFTMAX = made_up("softmax 4096x4096", 2, ours=[0.01] * 3, PyTorch=[0.02] * 3, failed={"candle": "it differs"})


class Rows(unittest.TestCase):
    def test_every_row_has_a_name_and_a_group_of_its_own(self):
        self.assertEqual(len(ROWS), len(all_rows()))
        groups = {row.group for row in all_rows()}
        self.assertEqual(groups, {"matmul", "half and int8", "linear+gelu", "rows", "attention", "minilm"})

    def test_rows_are_chosen_by_a_pattern_and_quick_ones_are_small(self):
        self.assertEqual([row.name for row in chosen("^softmax 64")], ["softmax 64x384"])
        self.assertNotIn("matmul 2048x2048x2048", [row.name for row in chosen("matmul", quick=True)])
        self.assertIn("matmul 64x64x64", [row.name for row in chosen("matmul", quick=True)])

    def test_the_slower_of_products_and_traffic_is_the_floor(self):
        seconds, bound = ROWS["matmul 512x512x512"].floor(RATES)
        self.assertEqual(bound, "fma")
        self.assertAlmostEqual(seconds, 2 * 512**3 / 200e9)
        seconds, bound = ROWS["matmul 1x4096x4096"].floor(RATES)
        self.assertEqual(bound, "read")
        self.assertAlmostEqual(seconds, 4 * 4096 * (4096 + 2) / 20e9)

    def test_batches_are_cut_where_padding_costs_more_than_a_batch(self):
        # The same as in examples/minilm/tokenize.rs.
        self.assertEqual(cut([256, 256, 12, 12, 11]), [2, 3])
        self.assertEqual(cut([20, 19, 18, 17]), [4])
        self.assertEqual(cut([12]), [1])

    def test_traffic_is_compared_with_a_loop_of_the_same_proportion(self):
        expected = {"softmax": "copy", "add": "triad", "row_sum": "read", "cross_entropy": "read"}
        self.assertEqual({name: ROWS[f"{name} 64x384"].traffic for name in expected}, expected)


class Summaries(unittest.TestCase):
    def test_the_ratio_is_that_of_paired_rounds_to_the_best_peer(self):
        entry = report.summary(PRODUCT, ROWS[PRODUCT["row"]])
        self.assertEqual(entry["best"], "PyTorch")
        self.assertEqual(entry["ratio"], {"median": 0.5, "low": 0.25, "high": 0.5, "rounds": 3})
        self.assertEqual(entry["times"]["ours"]["median"], 2000)
        self.assertAlmostEqual(entry["share"], 2 * 512**3 / 200e9 / 0.002, places=3)

    def test_a_row_without_ours_has_no_figures(self):
        entry = report.summary(made_up("add 64x384", failed={"ours": "it panicked"}), ROWS["add 64x384"])
        self.assertNotIn("ratio", entry)
        self.assertEqual(report.geometric_means([entry]), [])

    def test_means_are_geometric_and_know_the_least_ratio(self):
        fast = made_up("matmul 64x64x64", ours=[0.001], PyTorch=[0.002])
        means = {(m["group"], m["threads"]): m for m in document(PRODUCT, fast, SOFTMAX)["means"]}
        self.assertEqual(means["matmul", 1]["ratio"], 1.0)
        self.assertEqual(means["all", 1]["least"], 0.5)
        self.assertEqual(means["rows", 2], {"group": "rows", "threads": 2, "rows": 1, "ratio": 2.0, "least": 2.0})


class Texts(unittest.TestCase):
    def test_a_peer_that_fails_is_a_dash_and_its_reason_is_told(self):
        other = made_up("softmax 64x384", 2, ours=[0.001], candle=[0.002])
        text = report.markdown(document(SOFTMAX, other))
        self.assertIn("| softmax 4096x4096 | 10000 | 20000 | - | 2.00 (2.00 to 2.00) | PyTorch |", text)
        self.assertIn("- softmax 4096x4096, 2: candle: it differs", text)

    def test_a_row_that_others_disturbed_is_marked(self):
        self.assertIn("| softmax 4096x4096 ~ |", report.markdown(document(SOFTMAX | {"others": 0.2})))

    def test_every_line_of_a_table_has_as_many_cells_as_its_header(self):
        for block in report.markdown(document(PRODUCT, SOFTMAX)).split("\n\n"):
            counts = {line.count("|") for line in block.splitlines() if line.startswith("|")}
            self.assertLessEqual(len(counts), 1, block)

    def test_the_document_is_json(self):
        text = json.dumps(document(PRODUCT, SOFTMAX))
        self.assertEqual(json.loads(text)["rows"][1]["ratio"]["median"], 2.0)

    def test_the_chart_is_well_formed_and_has_a_bar_a_ratio(self):
        tree = ElementTree.fromstring(svg.chart(document(PRODUCT, SOFTMAX)))
        rects = [shape for shape in tree if shape.tag.endswith("rect")]
        # The background, a square a number of threads, the bars.
        self.assertEqual(len(rects), 1 + 2 + 2)
        words = [shape.text for shape in tree if shape.tag.endswith("text")]
        self.assertIn("0.50 PyTorch", words)
        self.assertIn("1.0", words)

    def test_ratios_beyond_the_axis_stop_at_its_end(self):
        self.assertEqual(svg.place(1000), svg.place(8))
        self.assertEqual(svg.place(0.001), svg.place(0.125))
        self.assertAlmostEqual(svg.place(1), (svg.place(0.5) + svg.place(2)) / 2)


if __name__ == "__main__":
    unittest.main()
