from pathlib import Path

import pytest

from chalicelib.console.join import CannotJoin, join


def written(folder: Path, **modules: str) -> Path:
    for name, text in modules.items():
        path = folder / f"{name.replace('__', '/')}.js"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


def test_joined_modules_stand_before_their_importers(tmp_path: Path) -> None:
    ui = written(
        tmp_path,
        main='import { one, two as zwei } from "./parts/numbers.js";\none(zwei);\n',
        parts__numbers="export const two = 2;\nexport function one() {}\n",
    )
    assert join(ui, "main.js", {}) == (
        "// parts/numbers.js\nconst m0 = (() => {\nconst two = 2;\nfunction one() {}\n\nreturn { two, one };\n})();\n"
        "// main.js\nconst m1 = (() => {\nconst { one, two: zwei } = m0;\none(zwei);\n\nreturn {  };\n})();"
    )


def test_module_with_two_importers_stands_once(tmp_path: Path) -> None:
    ui = written(
        tmp_path,
        main='import { a } from "./a.js";\nimport { b } from "./b.js";\n',
        a='import { b } from "./b.js";\nexport const a = b;\n',
        b="export const b = 1;\n",
    )
    assert join(ui, "main.js", {}).count("const b = 1;") == 1


def test_vendored_module_keeps_its_import_under_the_given_name(tmp_path: Path) -> None:
    main = 'import {\n  html,\n} from "./vendor/ui.js";\nhtml();\n'
    ui = written(tmp_path, main=main, vendor__ui="export const html = 1;\n")
    joined = join(ui, "main.js", {"ui.js": "ui-1.js"})
    assert joined.startswith('import * as m0 from "./ui-1.js";\n')
    assert "const {\n  html,\n} = m0;" in joined


def test_import_in_a_comment_is_no_module_syntax(tmp_path: Path) -> None:
    ui = written(tmp_path, main='/** @param {import("./other.js").Shape} shape */\nfunction take(shape) {}\n')
    assert "function take" in join(ui, "main.js", {})


def test_comments_are_left_out_and_addresses_stay(tmp_path: Path) -> None:
    main = (
        "// What this module owns.\n"
        "/** A promise,\n * in two lines. */\n"
        "const a = [\n"
        "  /** @type {number} */ (1), /** @type {number} */ (2)];\n"
        "  // A reason.\n"
        'const b = "https://example.org/*"; // beside code\n'
    )
    joined = join(written(tmp_path, main=main), "main.js", {})
    assert 'const a = [\n  (1), (2)];\nconst b = "https://example.org/*"; // beside code\n' in joined
    assert "promise" not in joined
    assert "reason" not in joined
    assert "owns" not in joined


@pytest.mark.parametrize(
    "line",
    ["export default 1;", "export let count = 1;", 'import all from "./a.js";', 'const a = await import("./a.js");'],
)
def test_unknown_module_syntax_is_refused_with_its_file(tmp_path: Path, line: str) -> None:
    ui = written(tmp_path, main=f"{line}\n", a="export const a = 1;\n")
    with pytest.raises(CannotJoin, match=r"main\.js"):
        join(ui, "main.js", {})


def test_circle_of_imports_is_refused(tmp_path: Path) -> None:
    ui = written(
        tmp_path,
        main='import { a } from "./a.js";\n',
        a='import { b } from "./b.js";\nexport const a = 1;\n',
        b='import { a } from "./a.js";\nexport const b = 1;\n',
    )
    with pytest.raises(CannotJoin, match=r"a\.js imports itself, by b\.js"):
        join(ui, "main.js", {})
