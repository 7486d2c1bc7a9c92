"""Every suite that cannot be run is refused in one line: the key, its value, the rule.

Mutants seen red: a tag let through, an alias let through, keys standing twice, the size of a file
unlimited, `zip` values unchecked, metrics named twice, the nearest name left out of a message, a
missing key told before the mistyped one, a seed of 64 bits, a backend that is a list, a length
measured and predicted, predicted lengths beside a grid or a zip of lengths, and without a count.
"""

from pathlib import Path

import pytest

from softbench.suite import SuiteError, expand, find, parse, read

GOOD = """
level: operator
shape: {num_heads: 1, head_dim: 8, seq_len: 16}
attention: {softmax: {}}
metrics: [flops]
repeats: 1
"""


def refusal(path: Path, *changes: str) -> str:
    """What is said of the suite in `path`; it is one line."""
    with pytest.raises(SuiteError) as refused:
        expand(parse(read(path, changes), "given", str(path)), "cpu")
    message = str(refused.value)
    assert message
    assert "\n" not in message
    return message


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "given.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def says(message: str, *fragments: str) -> None:
    assert [fragment for fragment in fragments if fragment not in message] == [], message


def test_the_suite_that_the_others_are_made_of_is_good(tmp_path: Path) -> None:
    assert len(expand(parse(read(written(tmp_path, GOOD)), "given", "here"), "cpu")) == 1


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ("metrics:", "metrisc: [flops]\nmetrics:", ["'metrisc'", "did you mean 'metrics'?"]),
        ("seq_len", "seqlen", ["'shape.seqlen'", "did you mean 'seq_len'?"]),
        ("repeats: 1", "budget: {case_second: 1}", ["'budget.case_second'", "'case_seconds'?"]),
        ("softmax", "sotfmax", ["no attention 'sotfmax'", "did you mean 'softmax'?"]),
        ("softmax: {}", '"": {}', ["no attention ''", "known: "]),
        ("[flops]", "[flosp]", ["no metrics 'flosp'", "did you mean 'flops'?"]),
        ("repeats: 1", "reports: [scalling]", ["no reports 'scalling'", "'scaling'?"]),
        ("softmax: {}", "softmax: {backend: sdap}", ["no backend 'sdap'", "'sdpa'?"]),
        ("softmax: {}", "soft: {num_landmark: 9}", ["'num_landmark'", "'num_landmarks'?"]),
        ("softmax: {}", "softmax: {num_landmarks: 9}", ["attention.softmax", "'num_landmarks'"]),
        ("softmax: {}", "soft: {inverse: newtn}", ["no inverse 'newtn'", "'newton'?"]),
        ("softmax: {}", "soft: {landmarks: poll}", ["landmarks: no 'poll'", "'pool'?"]),
        ("level: operator", "level: oprator", ["level: no 'oprator'", "'operator'?"]),
        ("repeats: 1", "dtype: flot32", ["dtype: no 'flot32'", "did you mean 'float32'?"]),
        ("repeats: 1", "dtype: aut", ["dtype: no 'aut'", "did you mean 'auto'?"]),
        ("repeats: 1", "device: cdua", ["no device 'cdua'", "did you mean 'cuda'?"]),
        ("repeats: 1", "device: cuda:x", ["no device 'cuda:x'", "'cuda:0'?"]),
        ("repeats: 1", "mode: bakward", ["mode: no 'bakward'", "'forward_backward'?"]),
        ("attention:", "atention:", ["unknown key 'atention'", "did you mean 'attention'?"]),
        ("metrics:", "metrisc:", ["unknown key 'metrisc'", "did you mean 'metrics'?"]),
        ("repeats: 1", "seq_len: 4", ["unknown key 'seq_len'", "did you mean 'shape.seq_len'?"]),
        ("repeats: 1", "case_seconds: 4", ["'case_seconds'", "'budget.case_seconds'?"]),
        ("repeats: 1", "name: mine", ["unknown key 'name'", "called after its file"]),
        ("repeats: 1", "task: {name: digits}", ["task: it goes with level model"]),
        ("level: operator", "level: model", ["level model needs the key model"]),
        ("repeats: 1", "model: {name: vit}", ["goes with level model, not with level operator"]),
    ],
)
def test_an_unknown_name_is_named_with_the_nearest_right_one(
    tmp_path: Path, old: str, new: str, fragments: list[str]
) -> None:
    says(refusal(written(tmp_path, GOOD.replace(old, new))), *fragments)


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ("level: operator", "level: [operator, layer]", ["level: a list may not stand here"]),
        ("repeats: 1", "repeats: [1, 2]", ["repeats: a list may not stand here"]),
        ("repeats: 1", "budget: {case_seconds: [1]}", ["budget.case_seconds: a list may not"]),
        ("softmax: {}", "soft: {num_landmarks: [[9]]}", ["num_landmarks: a list may not stand"]),
        ("softmax: {}", "softmax: {backend: [[eager]]}", ["no backend ['eager']", "'eager'?"]),
        ("softmax: {}", "softmax: {backend: 5}", ["no backend 5", "known: "]),
        ("{softmax: {}}", "[softmax]", ["attention: a list may not stand here"]),
        ("{num_heads: 1, head_dim: 8, seq_len: 16}", "[16]", ["shape: a list may not stand"]),
        ("repeats: 1", "device: {cpu: 1}", ["device: a mapping may not stand here"]),
        ("repeats: 1", "reports: {table: 1}", ["reports: a mapping may not stand here"]),
        ("repeats: 1", "zip: {seed: 1}", ["zip: a mapping may not stand here"]),
        ("[flops]", "flops", ["metrics: 'flops' is refused", "list"]),
        ("16", "[]", ["shape.seq_len", "needs at least one value"]),
        ("[flops]", "[]", ["metrics: empty"]),
        ("{softmax: {}}", "{}", ["attention: empty"]),
        ("softmax: {}", "softmax: []", ["attention.softmax: empty"]),
        ("softmax: {}", "softmax: 5", ["attention.softmax", "not 5"]),
        ("[flops]", "[flops, flops]", ["metrics: 'flops' stands twice"]),
        ("metrics: [flops]", "", ["'metrics' is missing"]),
    ],
)
def test_a_list_or_mapping_stands_only_where_one_may(
    tmp_path: Path, old: str, new: str, fragments: list[str]
) -> None:
    says(refusal(written(tmp_path, GOOD.replace(old, new))), *fragments)


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ("16", "-16", ["shape.seq_len: -16", "greater than or equal to 1"]),
        ("16", "0", ["shape.seq_len: 0", "greater than or equal to 1"]),
        ("16", "[16, 0]", ["shape.seq_len: 0"]),
        ("16", "16.0", ["shape.seq_len: 16.0", "integer"]),
        ("16", '"16"', ["shape.seq_len: '16'", "integer"]),
        ("16", ".nan", ["shape.seq_len: nan"]),
        ("16", "99999999999999999999", ["less than or equal to 1099511627776"]),
        ("num_heads: 1", "num_heads: 0", ["shape.num_heads: 0"]),
        ("head_dim: 8", "head_dim: -8", ["shape.head_dim: -8"]),
        ("repeats: 1", "repeats: 0", ["repeats: 0", "greater than or equal to 1"]),
        ("repeats: 1", "repeats: true", ["repeats: True", "integer"]),
        ("repeats: 1", "seed: -1", ["seed: -1"]),
        ("repeats: 1", f"seed: {2**63}", ["seed: 9223372036854775808", "less than"]),
        ("repeats: 1", "compile: yess", ["compile: 'yess'", "boolean"]),
        ("repeats: 1", "budget: {case_seconds: .nan}", ["case_seconds: nan", "finite"]),
        ("repeats: 1", "budget: {suite_seconds: .inf}", ["suite_seconds: inf", "finite"]),
        ("repeats: 1", "budget: {case_seconds: -3}", ["case_seconds: -3", "greater than 0"]),
        ("repeats: 1", "budget: {memory_fraction: 1.5}", ["memory_fraction: 1.5", "than 1"]),
        ("softmax: {}", "soft: {num_landmarks: -1}", ["attention.soft.num_landmarks: -1"]),
        ("softmax: {}", "soft: {ridge: .nan}", ["attention.soft.ridge: nan", "finite"]),
        ("softmax: {}", "soft: {conv_kernel_size: 4}", ["4 is even"]),
        ("seq_len: 16", "seq_len: 16, grid: 4x5", ["grid 4x5 holds 20 tokens", "16"]),
        ("seq_len: 16", "grid: 4y5", ["'4y5'", "28x56"]),
        ("seq_len: 16", 'grid: "0x5"', ["'0x5'", "positive"]),
        (", seq_len: 16", "", ["seq_len", "grid"]),
        ("16", "{pow2: [16, 8]}", ["pow2", "[16, 8]"]),
        ("16", "{pow2: 5}", ["pow2", "not 5"]),
        ("16", "{pow2: [true, 8]}", ["pow2", "[True, 8]"]),
        ("16", "{pow2: [0, 99]}", ["pow2", "[0, 99]"]),
    ],
)
def test_a_value_out_of_bounds_is_named_with_its_rule(
    tmp_path: Path, old: str, new: str, fragments: list[str]
) -> None:
    says(refusal(written(tmp_path, GOOD.replace(old, new))), *fragments)


@pytest.mark.parametrize(
    ("rows", "fragments"),
    [
        ("[{sede: 1}]", ["zip cannot vary 'sede'", "'seed'?"]),
        ("[{shape.seqlen: 1}]", ["'shape.seqlen'", "'shape.seq_len'?"]),
        ("[{level: layer}]", ["zip cannot vary 'level'"]),
        ("[{shape.seq_len: 16}]", ["shape.seq_len is set twice"]),
        ("[{seed: [1, 2]}]", ["seed takes one value a row", "[1, 2]"]),
        ("[{seed: 1}, {dtype: float32}]", ["every row of zip must hold the same keys"]),
        ("[{seed: -1}]", ["zip: seed: -1"]),
        ("[{shape.batch_size: 0}]", ["zip: shape.batch_size: 0"]),
        ("[{dtype: float}]", ["zip: dtype: no 'float'"]),
        ("[5]", ["zip: 5 is refused"]),
    ],
)
def test_a_row_of_zip_obeys_the_rules_of_its_keys(
    tmp_path: Path, rows: str, fragments: list[str]
) -> None:
    says(refusal(written(tmp_path, f"{GOOD}zip: {rows}\n")), *fragments)


BOMB = "a: &a [x]\n" + "".join(f"{n}: &{n} [*a, *a]\n" for n in "bcdef")


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("", ["empty"]),
        ("# a comment\n", ["empty"]),
        ("- a\n", ["not a mapping"]),
        ("5\n", ["not a mapping"]),
        (GOOD + "seed: !!python/object/apply:os.system [ls]\n", ["line 7", "tag", "os.system"]),
        (GOOD + 'seed: !!int "3"\n', ["line 7", "tag"]),
        (GOOD + "seed: !mine 3\n", ["line 7", "!mine"]),
        (BOMB, ["line 2", "aliases"]),
        (GOOD + "repeats: 2\n", ["line 7", "'repeats' stands twice"]),
        (GOOD.replace("head_dim: 8", "head_dim: 8, head_dim: 9"), ["line 3", "'head_dim'"]),
        (GOOD + "5: 3\n", ["line 7", "key 5 is not a name"]),
        (GOOD + "? [a, b]\n: 3\n", ["key ['a', 'b'] is not a name"]),
        ("a: " + "[" * 5000, ["nested too deeply"]),
        ("a: " + "{a: " * 5000, ["nested too deeply"]),
        ("a: [1, 2\nb: 3\n", ["line 2", "expected ',' or ']'"]),
        ("a:\n\t- b\n", ["line 2", r"'\t'"]),
        (GOOD + "---\n" + GOOD, ["expected a single document"]),
        (GOOD + "seed: 2020-02-31\n", ["day is out of range"]),
        (b"level: \xff\xfe\n", ["UTF-8"]),
        (b"level: a\x00b\n", ["x0000"]),
        (b"#" * 1_000_001, ["1,000,000 bytes"]),
    ],
    ids=range(21),
)
def test_what_is_no_plain_data_is_refused(
    tmp_path: Path, text: str | bytes, fragments: list[str]
) -> None:
    says(refusal(written(tmp_path, text)), str(tmp_path / "given.yaml"), *fragments)


def test_a_suite_is_read_without_running_anything(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    refusal(written(tmp_path, f"a: !!python/object/apply:os.mkdir ['{mark}']\n"))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("change", "fragments"),
    [
        ("repeats", ["--set repeats", "key=value"]),
        ("=1", ["--set =1", "key=value"]),
        ("shape..seq_len=1", ["key=value"]),
        ("level.x=1", ["'level' is not a mapping"]),
        ("repeats=[1", ["--set repeats", "expected ',' or ']'"]),
        ("repeats=!!int 1", ["--set repeats", "tag"]),
        ("repeats=0", ["repeats: 0"]),
        ("repeat=1", ["'repeat'", "'repeats'?"]),
        ("attention.sfot={}", ["no attention 'sfot'", "'soft'?"]),
    ],
)
def test_a_change_on_the_command_line_obeys_the_same_rules(
    tmp_path: Path, change: str, fragments: list[str]
) -> None:
    says(refusal(written(tmp_path, GOOD), change), *fragments)


@pytest.mark.parametrize(
    ("name", "fragments"),
    [
        ("smok", ["no suite 'smok'", "did you mean 'smoke'?"]),
        ("folder/smok.yaml", ["'folder/smok.yaml'", "'smoke'?"]),
        ("", ["no suite ''"]),
        ("x" * 5000, ["no suite 'xxx"]),
        ("a\0b", ["no suite"]),
    ],
    ids=["name", "path", "nothing", "long", "nul"],
)
def test_a_suite_that_is_not_there_is_named_with_the_nearest(
    name: str, fragments: list[str]
) -> None:
    with pytest.raises(SuiteError) as refused:
        find(name)
    says(str(refused.value), *fragments)


def test_a_folder_is_no_suite(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="a folder, not a suite file"):
        find(str(tmp_path))


def test_a_file_that_vanished_is_named(tmp_path: Path) -> None:
    says(refusal(tmp_path / "gone.yaml"), "gone.yaml", "No such file")


@pytest.mark.parametrize(
    ("changes", "fragments"),
    [
        (["predict_seq_len=[32, 16]"], ["16 is in shape.seq_len and in predict_seq_len"]),
        (["predict_seq_len=0"], ["predict_seq_len: 0 is refused"]),
        (["predict_seq_len=32", "metrics=[latency]"], ["only counts", "--set predict_seq_len=[]"]),
        (["predict_seq_len=32", "metrics=[approximation_error]"], ["only counts"]),
        (
            ["predict_seq_len=32", "shape={num_heads: 1}", "zip=[{shape.seq_len: 16}]"],
            ["predict_seq_len goes with the lengths of shape.seq_len"],
        ),
        (
            ["predict_seq_len=32", "shape={num_heads: 1, grid: 4x4, seq_len: 16}"],
            ["predict_seq_len goes with the lengths of shape.seq_len, and no grid"],
        ),
        (["predict_seq_lens=32"], ["'predict_seq_lens'", "did you mean 'predict_seq_len'?"]),
    ],
)
def test_lengths_of_which_nothing_could_be_told_are_refused(
    tmp_path: Path, changes: list[str], fragments: list[str]
) -> None:
    says(refusal(written(tmp_path, GOOD), *changes), *fragments)


def test_no_predicted_lengths_can_be_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD + "predict_seq_len: [32]\n")
    for nothing in ("[]", "null"):
        raw = read(path, [f"predict_seq_len={nothing}", "metrics=[latency]"])
        assert len(expand(parse(raw, "given", str(path)), "cpu")) == 1
