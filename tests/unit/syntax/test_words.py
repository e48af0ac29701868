"""Expansion: a truth table written from reference §1.3."""

import pytest

from jettison.syntax.words import ExpansionError, expand, expand_heredoc, expand_list

VALUES = {"v": "value", "e": "", "p": "a/b/c.tar.gz", "s": "x y  z", "ünï": "letters", "n1": "digits", "star": "a*b"}
scope = VALUES.get


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # plain
        ("", ""),
        ("plain", "plain"),
        ("$v", "value"),
        ("${v}", "value"),
        ("a$v-b", "avalue-b"),
        ("$v$v", "valuevalue"),
        ("$vx", ""),
        ("${v}x", "valuex"),
        ("$n1.", "digits."),
        ("$ünï", "letters"),
        ("$u", ""),
        ("${u}", ""),
        ("$e", ""),
        # a dollar before no name is itself
        ("$", "$"),
        ("a$", "a$"),
        ("$.", "$."),
        ("$/x", "$/x"),
        ("$ v", "$ v"),
        ('"$"', "$"),
        # positional and special parameters are unset
        ("[$1][$12x][$@][$*][$#][$?][$-][$$][$!][$0]", "[][x][][][][][][][][]"),
        ("${1:-w}${@:-w}", "ww"),
        # unset, empty, set
        ("${u-w}", "w"),
        ("${e-w}", ""),
        ("${v-w}", "value"),
        ("${u:-w}", "w"),
        ("${e:-w}", "w"),
        ("${v:-w}", "value"),
        ("${u+w}", ""),
        ("${e+w}", "w"),
        ("${v+w}", "w"),
        ("${u:+w}", ""),
        ("${e:+w}", ""),
        ("${v:+w}", "w"),
        ("${e?m}", ""),
        ("${v?m}", "value"),
        ("${v:?m}", "value"),
        ("${u:-}", ""),
        # operands are words themselves
        ("${u:-$v}", "value"),
        ("${u:-${e:-${v}}}", "value"),
        ("${u:-'a b'}", "a b"),
        ('${u:-"}"}', "}"),
        (r"${u:-\}}", "}"),
        ("${u:-a:b}", "a:b"),
        ("${v:+${p##*/}}", "c.tar.gz"),
        ("${u:-a b}", "a b"),
        # trimming
        ("${p#*/}", "b/c.tar.gz"),
        ("${p##*/}", "c.tar.gz"),
        ("${p%.*}", "a/b/c.tar"),
        ("${p%%.*}", "a/b/c"),
        ("${p#nothing}", "a/b/c.tar.gz"),
        ("${p#}", "a/b/c.tar.gz"),
        ("${p##*}", ""),
        ("${p%%*}", ""),
        ("${p#*}", "a/b/c.tar.gz"),
        ("${p#?/}", "b/c.tar.gz"),
        ("${p%.??}", "a/b/c.tar"),
        ("${v%e}", "valu"),
        (r"${star#a\*}", "b"),
        (r"${v#a\*}", "value"),
        ("${p#[a]}", "a/b/c.tar.gz"),
        ("${p%$u}", "a/b/c.tar.gz"),
        ("${p%.${n1#digit}}", "a/b/c.tar.gz"),
        ("${p%'.gz'}", "a/b/c.tar"),
        ("${u#x}", ""),
        (r"${p#*\/}", "b/c.tar.gz"),
        # replacing
        ("${v/l/L}", "vaLue"),
        ("${p/./_}", "a/b/c_tar.gz"),
        ("${p//./_}", "a/b/c_tar_gz"),
        (r"${p//\//-}", "a-b-c.tar.gz"),
        ("${p/*./}", "gz"),
        ("${p//?/x}", "xxxxxxxxxxxx"),
        ("${p/c.*/}", "a/b/"),
        ("${v/z/y}", "value"),
        ("${v/a/$n1}", "vdigitslue"),
        ("${v/a/}", "vlue"),
        (r"${v/a/\}}", "v}lue"),
        (r"${v/a/\/}", "v/lue"),
        ("${u/a/b}", ""),
        ("${s//  /-}", "x y-z"),
        # quotes and escapes
        ("'$v'", "$v"),
        ("'a\\b'", "a\\b"),
        ('"$v"', "value"),
        ('"a\'b"', "a'b"),
        ("'a\"b'", 'a"b'),
        ("\"a\"b'c'", "abc"),
        ('""', ""),
        (r"\$v", "$v"),
        (r"\\", "\\"),
        (r"\n", "n"),
        (r"a\ b", "a b"),
        (r"\"", '"'),
        ("end\\", "end"),
        (r'"\$v \" \\ \n"', r'$v " \ \n'),
        ('"a  b"  c', "a  b  c"),
        ("a  b", "a  b"),
        ("$s", "x y  z"),
    ],
)
def test_value(text: str, expected: str) -> None:
    assert expand(text, scope) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${", "missing '}'"),
        ("${v", "missing '}'"),
        ("${v:-a", "missing '}'"),
        ("${v#a", "missing '}'"),
        ("${v/a/b", "missing '}'"),
        ("${v/a}", "missing '/' in ${}"),
        ("${}", "bad substitution"),
        ("${:}", "bad substitution"),
        ("${:-a}", "bad substitution"),
        ("${{v}}", "bad substitution"),
        ("${v=a}", "unsupported modifier (=)"),
        ("${v:=a}", "unsupported modifier (:=)"),
        ("${v:#a}", "unsupported modifier (:#)"),
        ("${v:%a}", "unsupported modifier (:%)"),
        ("${v!}", "unsupported modifier (!)"),
        ("${v^^}", "unsupported modifier (^)"),
        ("${v:1:2}", "unsupported modifier (:1)"),
        ("${ v}", "unsupported modifier ( )"),
        ("${u?}", "u: is not allowed to be unset"),
        ("${u:?}", "u: is not allowed to be unset"),
        ("${e:?}", "e: is not allowed to be empty"),
        ("${u?give $v}", "u: give value"),
        ("${e:?say 'why'}", "e: say why"),
        ("'a", "looking for matching single-quote"),
        ('"a', "looking for matching double-quote"),
        ('"a\\"', "looking for matching double-quote"),
        (r"${v#\a}", r"invalid pattern (\a) in substitution: invalid escape '\a'"),
        (r"${v//\d/}", r"invalid escape '\d'"),
        ("${v:-" * 200 + "}" * 200, "nested too deeply"),
    ],
)
def test_error(text: str, message: str) -> None:
    with pytest.raises(ExpansionError) as caught:
        expand(text, scope)
    assert message in str(caught.value)
    assert str(caught.value).startswith("failed to process ")


def test_the_other_escape_character() -> None:
    assert expand(r"C:\x`$v\$v", scope, "`") == r"C:\x$v\value"
    assert expand('"`"` `$"', scope, "`") == '"` $'


def test_only_what_is_wanted_and_unset_is_told() -> None:
    told: list[str] = []
    expand("$a ${b} ${c:-x} ${d+x} ${f#x} ${g/x/y} $v $1 '$q' ${h:-$i}", scope, on_unset=told.append)
    assert told == ["a", "b", "f", "g", "1", "i"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  ", []),
        ("a  b", ["a", "b"]),
        ("$s", ["x", "y", "z"]),
        ('"$s"', ["x y  z"]),
        ("a$s", ["ax", "y", "z"]),
        ("$s'b c'", ["x", "y", "zb c"]),
        (r"a\ b c", ["a b", "c"]),
        ('"" a ""', ["a"]),
        ("$u a", ["a"]),
        ("${u:-3000 4000/udp} 80", ["3000", "4000/udp", "80"]),
        ("a\u3000b\tc", ["a", "b", "c"]),
    ],
)
def test_list(text: str, expected: list[str]) -> None:
    assert expand_list(text, scope) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\"quoted\" $v '$v'\n", "\"quoted\" value 'value'\n"),
        ("\\\n", "\n"),
        ("\\\\\n", "\\\n"),
        ("\\$v\n", "$v\n"),
        ("${u:-it's}\n", "it's\n"),
        ("`$v`\n", "`value`\n"),
        ("${p##*/}", "c.tar.gz"),
    ],
)
def test_heredoc(text: str, expected: str) -> None:
    assert expand_heredoc(text, scope) == expected


def test_a_pattern_cannot_be_slow() -> None:
    many = {"v": "a" * 20_000}
    for text in ("${v##*a*a*a*a*a*a*a*a*b}", "${v%%*a*a*a*a*a*b*a}", "${v//*a*a*a*a*a*a*b/x}", "${v//a*a*a*b/x}"):
        assert expand(text, many.get) == many["v"]
