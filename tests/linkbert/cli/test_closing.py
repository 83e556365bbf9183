from linkbert.cli.closing import closing_table


def test_the_table_states_counts_shares_and_both_yardsticks() -> None:
    table = closing_table(
        {
            "parse": {"pages": 10, "redirects": 2, "rejected": {"truncated": 1, "no_text": 2}},
            "graph": {
                "edges": 5000,
                "hatnote_edges": 1,
                "mentions": 8,
                "mentions_by_fate": {"resolved": 4, "redirect": 2, "red": 2},
            },
            "segment": {"segments": 1234},
            "sample": {
                "relations": {"contiguous": 3, "random": 4, "linked": 5},
                "drp_class_accuracy": 0.75,
                "gini_of_linked_documents": {"weighted": 0.5, "uniform": 0.625},
            },
            "pretrain": {
                "first_loss": 9.125,
                "last_loss": 7.5,
                "validation": {
                    "validation": {
                        "interval": [0.3, 0.5],
                        "drp_accuracy": 0.4,
                        "chance": 0.6,
                        "num_instances": 10,
                        "by_relation": {
                            "contiguous": {"num_instances": 7},
                            "random": {"num_instances": 3},
                        },
                    }
                },
            },
            "export": {"model": "out/model"},
        }
    )
    rows = [" ".join(line.split()) for line in table.splitlines()]
    assert rows == [
        "pages 10",
        "redirects 2",
        "pages rejected 3",
        "links resolved 6 of 8 (75%), 2 by redirect",
        "edges 5,000, 1 of them by hatnotes alone",
        "segments 1,234",
        "instances 12 (contiguous 3, random 4, linked 5)",
        "guess from A alone 0.750 of relations right",
        "Gini of linked documents 0.500, without weighting 0.625",
        "loss 9.12 at the start, 7.50 at the end",
        "DRP accuracy, validation 0.400 of 10 pairs, 95 % interval 0.300 to 0.500",
        "compare with 0.700 for the most frequent relation and 0.600 for a guess from A alone",
        "model out/model",
    ]
