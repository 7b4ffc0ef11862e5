"""Numbers and quantities in a text: ``1,234.5``, ``−3``, ``2.5e-3``, ``3/4``, ``40 %``, ``5 million km``.

What only looks like a number, or is denied, is not read: dates, times and versions; "not 5",
"more than 5"; the ends of a range, "5 or 6" and "5 ± 1" are read and marked.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

_LARGEST_POWER = 400
# Python reads no longer ones as a number.
_MOST_DIGITS = 4000
_CONTEXT = 30
_WORDS_OF_SIZE: Mapping[int, str] = {
    100: "hundred hundreds hundert cent cento cien",
    1000: "thousand thousands tausend mille mil "
    " тысяча тысячи тысяч тыс हज़ार हजार ألف آلاف ribu nghìn ngàn bin พัน",
    10_000: "หมื่น",
    100_000: "lakh lakhs लाख แสน",
    10**6: "million millions millionen mio mn mln "
    "millón millones milhão milhões milione milioni миллион миллиона "
    "миллионов млн مليون ملايين juta triệu milyon ล้าน",
    10**7: "crore crores करोड़",
    10**9: "billion billions bn milliard milliards milliarde milliarden mrd "
    ""
    "миллиард миллиарда миллиардов млрд مليار "
    "miliar miliardo miliardi tỷ milyar",
    10**12: "trillion trillions tn billionen",
    12: "dozen",
}
_SIZES = {word: Fraction(size) for size, words in _WORDS_OF_SIZE.items() for word in words.split()}
_SIZES |= {
    word: Fraction(1, 10**power) for power, word in ((1, "tenths"), (2, "hundredths"), (3, "thousandths"))
}
_SIZES_UNSPACED = {"万": 10**4, "萬": 10**4, "만": 10**4, "亿": 10**8, "億": 10**8, "억": 10**8}
# Of money only: elsewhere m is a metre, and M, B, K and T may be anything.
_SIZES_OF_MONEY = {"k": 10**3, "m": 10**6, "mm": 10**6, "b": 10**9, "t": 10**12}
_VULGAR = "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_JOINERS = (
    r"to|or|through|until|till|versus|vs|plus\s+or\s+minus|bis|oder|ou|à|o|или|до|または|或者?|至|到|から|か"
)
_SPACE = r"[^\S\n]"
_GROUP = r"[ \u00a0\u202f\u2009'’_]"
_DASH = r"\-\u2010-\u2015\u2212~〜～"
_MONEY = (
    r"(?:US|A|AU|C|CA|NZ|HK|NT|S|R)?\$|[€£¥₹₽₩₺₴₫₪฿₦₱₲₵₡₸₼₾₿]"
    r"|\b(?:USD|EUR|GBP|JPY|CNY|RMB|INR|CHF|AUD|CAD|Rs\.?)"
)
_LETTER = r"[^\W\d_]"
# Letters and digits of scripts with spaces: in others a number follows a word directly.
_SPACED = r"^\W_\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
# A digit behind a word of a script without spaces begins another number: 5人から6人.
_INSIDE = r"[^\W\d_]|(?<![\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])\d"
_UNIT = (
    rf"(?:{_LETTER}|[°℃℉µμΩ%‰€$£¥₹₽₩¢٪])"
    rf"(?:(?:{_INSIDE}|[_°µμΩ%/*^·²³⁻¹.\-])*(?:{_INSIDE}|[°²³¹]|[^\W\d_])|[°%²³¹])?[°%²³¹]?"
)
_TIMES = rf"(?:{_SPACE}?(?:(?-i:k)|{'|'.join(sorted(_SIZES, key=len, reverse=True))})(?!\w)\.?)"


def _number_pattern(mark: str, other: str) -> re.Pattern[str]:
    """Numbers with a decimal mark; the other mark separates thousands."""
    return re.compile(
        rf"""(?<![{_SPACED}])(?<![{mark}{other}/第])(?<![^\W_]_)(?<!\d[:{_DASH}])
        (?<!{_LETTER}[{_DASH}])(?<![√∛∜π])
        (?:(?P<sign>[+\-−–]{_SPACE}?)|(?P<minus>\b(?:minus|negative|moins|menos|meno|минус){_SPACE}|マイナス|[负負]))?
        (?P<money>(?:{_MONEY}){_SPACE}?)?
        (?P<sign_behind>(?<=[$€£¥₹])[\-−])?
        (?P<whole>\d{{1,3}}(?:{other}\d{{3}})+|\d{{1,2}}(?:{other}\d{{2}})+{other}\d{{3}}
          |\d{{1,3}}(?:{_GROUP}\d{{3}})+(?!\d)|\d+(?!{_GROUP}\d{{3}}{other}\d)|(?={mark}\d)|(?=[{_VULGAR}]))
        (?:{mark}(?P<part>\d+))?
        (?:[ ]?(?P<vulgar>[{_VULGAR}])|[ ](?P<above>\d{{1,3}})/(?P<under>\d{{1,3}})(?!\d))?
        (?:[eE](?P<power>[+\-−]?\d{{1,4}})(?!\w)
          |{_SPACE}?(?:[×x*·]|\\times){_SPACE}?10{_SPACE}?(?:(?:\^|\*\*){_SPACE}?\{{?(?P<ten>[+\-−]?\d{{1,4}})\}}?|(?P<ten_above>[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{{1,4}}))
          |{_SPACE}?(?:\^|\*\*){_SPACE}?\{{?(?P<raised>[+\-−]?\d{{1,4}})\}}?|(?P<raised_above>[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{{1,4}}))?
        (?:[/⁄](?P<below>\d+))?
        (?![\d/:√π∛]|[{mark}{other}{_DASH}]\d|(?:st|nd|rd|th)\b|[xXoObBeE][0-9a-fA-F]+\b)
        (?P<times>{_TIMES}{{0,3}})
        (?:(?:{_SPACE}{{0,2}}|-)(?!(?:{_JOINERS})\b|[至到か])(?P<shape>(?:square|sq\.?|cubic|cu\.?){_SPACE})?
          (?P<unit>degrees?{_SPACE}(?:celsius|fahrenheit|[CF]\b)|per{_SPACE}(?:cent|mille)\b|{_UNIT})
          (?P<raised_word>{_SPACE}(?:squared|cubed)\b)?
          (?P<per>{_SPACE}?(?:\bper\b|/|\ban?\b(?={_SPACE}(?:second|minute|hour|day|week|month|year)\b)){_SPACE}?{_LETTER}[\w²³]*)?)?""".replace(
            "[ ]", "[\\ ]"
        ),
        re.VERBOSE | re.IGNORECASE,
    )


_NUMBER = {mark: _number_pattern(mark, other) for mark, other in ((r"\.", ","), (",", r"\."))}
# LaTeX's spelling of numbers and of units.
_FRACTION = re.compile(r"(?P<whole>\d)?\s?\\[dt]?frac\s?\{\s?(\d+)\s?\}\s?\{\s?(\d+)\s?\}")
_UPRIGHT = re.compile(r"\\(?:text|mathrm|textrm)\{\s*([^{}\n]{0,30})\}")
_NEVER_DRAWN = dict.fromkeys([0xAD, 0x200B, 0x2060, 0xFEFF, 0x200E, 0x200F, 0x061C])
_DENIED = re.compile(
    r"(?:\bnot|n['’]t|\bnever|\bnor|\bnicht|\bkeine?|\bpas|\bне|\bnão|不是?|≠|!=|<>|=/=)"
    r"(?:\s+(?:equal(?:\s+to)?|exactly|quite|just|be|really))?\s*[(\"'“‘*$]*\Z",
    re.IGNORECASE,
)
# "3 is wrong", "3 is not the answer"; "5 is not prime" says nothing of the 5.
_DENIED_BEHIND = re.compile(
    r"\A[)\"'”’*$]*\s*(?:\w+\s+)?(?:is|was|are|were|seems|looks)"
    r"(?:\s+(?:clearly|obviously|also|just))?"
    r"(?:\s+(?:wrong|incorrect|false|untrue|mistaken|impossible|too\s+(?:low|high|small|large|big|much|many|few))\b"
    r"|(?:n['’]t|\s+not)\s+(?:(?:the|a|an|my)\s+)?(?:right|correct|answer|result|solution|it|true)\b)",
    re.IGNORECASE,
)
_ASKED = re.compile(r"\A[)\"'”’*$]*\s?[?？]")
_SIGN_OUTSIDE = re.compile(r"[-−–]\s*\(\s*\Z")
_COMPARED = re.compile(
    r"(?:\b(?:less|more|fewer|greater|larger|smaller|bigger|higher|lower|older|younger|longer|shorter|other)\s+than"
    r"|\bat\s+(?:least|most)|\b(?:over|under|above|below|exceed(?:s|ing)?|beyond|up\s+to|mehr\s+als|weniger\s+als"
    r"|plus\s+de|moins\s+de)|[<≤≥≦≧±∓]=?|(?<![-=>])(?<!<)>=?)\s*[(\"'“‘*$]*\Z",
    re.IGNORECASE,
)
_TAG = re.compile(r"<[^<>\s][^<>]{0,25}>\s*\Z")
_JOINED = re.compile(rf"[,\s]*(?:(?:{_JOINERS})|[{_DASH}±∓]|\+/?-|\\pm)\s*\Z|\A\s*\Z", re.IGNORECASE)
_BETWEEN = re.compile(r"\b(?:between|from|either|zwischen|entre|между)\s*[$€£]?\Z", re.IGNORECASE)
_BULLET = re.compile(r"(?:\A|\n)\s*\Z")
# 5'11" is in feet and inches; in 1h30m a unit follows without a space.
_FEET = re.compile(r"(?<![\w.°'′’])(\d{1,2})\s?['’′]\s?(\d{1,2})\s?(?:\"|''|″|”|′′)")
_UNSPACED_UNITS = re.compile(
    r"(?<![\w.])\d+(?:days?|d|hours?|hrs?|h|mins?|m|ft|lbs?|st)(?:\d+(?:hours?|hrs?|h|mins?|m|secs?|s|inch|in|lbs?|oz))+\b"
)
# An equation: what is calculated is no answer, what it equals is.
_EQUAL_WORDS = r"(?:is|are|equals?|gives|makes)"
_OPERATOR = (
    r"(?:\*\*|[+*×·⋅∙÷/^–−-]|[xX](?=\s*[-(\d])|(?:of|plus|minus|times|mod|divided\s+by|multiplied\s+by)\b"
    r"|\\(?:times|cdot|div)\b)"
)
_TERM = (
    rf"[(\[]*[+−-]?(?:[$€£¥₹]{_SPACE}?)?(?:\d++(?:[.,]\d++)*+|\.\d++)"
    rf"(?:{_SPACE}?(?!(?:{_EQUAL_WORDS}|of|plus|minus|times|mod|divided|multiplied|and|or|to|x|X|y|n)\b)[^\W\d_]{{1,12}}+[²³]?|{_SPACE}?[%°])?[)\]]*"
)
_CALCULATED = re.compile(
    rf"(?<![\w.,]){_TERM}(?:{_SPACE}*{_OPERATOR}{_SPACE}*{_TERM})++"
    rf"(?P<equals>{_SPACE}*(?:={{1,3}}|≈|\b{_EQUAL_WORDS}\b)(?=[\s*_$(\[]*[+−-]?(?:[$€£¥₹]\s?)?[.\d]))?"
)
_CALLED = re.compile(r"(?<!\w)[A-Za-z]\w{0,20}\([^()=\n]{0,60}\)(?=\s*=\s*[+−-]?[.\d])")
_VALUE_BEFORE = re.compile(rf"(?<![+*×·/^−–-])(?<![+*×·/^−–-]\s)(?<![\w.,]){_TERM}\s*=\s*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number of a text.

    Attributes:
        unit: The words or signs behind it, or a currency's sign before it; it need not be a unit.
        written: The number as it is in the text.
        is_hedged: Whether it is one of several that the text leaves open: of a range, "5 or 6", "5 ± 1".
        behind: What is between the number before it and this one; None for the first.
    """

    number: Fraction
    unit: str
    written: str
    is_hedged: bool = False
    behind: str | None = None


def quantities(text: str, decimal: str = ".") -> list[Quantity]:
    """The numbers that a text states, in order; digits of all scripts count, those of a sum before = don't.

    Args:
        text: Any text.
        decimal: The decimal mark; the other one of comma and full stop separates thousands.
    """
    plain = _plain(text)
    pattern = _NUMBER[r"\." if decimal == "." else ","]
    found = [(match, one) for match in pattern.finditer(plain) if (one := _quantity(match)) is not None]
    hedged = set(_hedged([match for match, _ in found], [one for _, one in found], plain))
    stated: list[Quantity] = []
    end: int | None = None
    for place, (match, one) in enumerate(found):
        if _is_set_aside(plain, match):
            continue
        is_hedged = place in hedged or _ASKED.match(plain[match.end() :][:9]) is not None
        behind = None if end is None else plain[end : match.start()]
        stated.append(replace(one, is_hedged=is_hedged, behind=behind))
        end = match.end()
    return stated


def has_number(text: str) -> bool:
    """Whether a text has digits, of any script, or signs such as ½: a number that may not be readable."""
    return any(unicodedata.numeric(character, None) is not None for character in text)


def _plain(text: str) -> str:
    """A text with ASCII digits and marks, without LaTeX and what is never drawn."""
    text = text.translate(_NEVER_DRAWN)
    plain = _without_commands("".join(map(_plain_character, text)))
    plain = re.sub(r"(?<=\d)，(?=\d)", ",", plain)
    plain = _FEET.sub(r"\1 ft \2 in", plain)
    plain = _UNSPACED_UNITS.sub(lambda one: re.sub(r"(?<=[a-z])(?=\d)", " ", one[0]), plain)
    return _without_calculations(plain)


def _without_calculations(text: str) -> str:
    """A text in which of 6*7 = 42 and of 42 = 6*7 only the 42 is left."""
    if "=" not in text and "≈" not in text and not re.search(rf"\b{_EQUAL_WORDS}\b", text):
        return text

    def left(match: re.Match[str]) -> str:
        before = text[max(0, match.start() - _CONTEXT) : match.start()]
        if match["equals"]:
            return match[0] if _DENIED.search(before) else " = "
        return " " if _VALUE_BEFORE.search(before) else match[0]

    text = _CALLED.sub("", text)
    return _CALCULATED.sub(left, text)


def _without_commands(text: str) -> str:
    if "{" not in text and "\\" not in text:
        return text
    text = _FRACTION.sub(
        lambda one: f"{one['whole']} {one[2]}/{one[3]}" if one["whole"] else f"{one[2]}/{one[3]}", text
    )
    text = _UPRIGHT.sub(r" \1", text).replace("{,}", ",")
    return re.sub(r"(?<=\d)\\,(?=\d{3})", " ", re.sub(r"\\([%$])", r"\1", text))


def _plain_character(character: str) -> str:
    """A decimal digit of any script as an ASCII digit; Arabic's and full-width marks as ASCII ones."""
    if not character.isascii() and (digit := unicodedata.decimal(character, None)) is not None:
        return str(digit)
    return {"٫": ".", "٬": ",", "．": ".", "％": "%", "＋": "+", "－": "-"}.get(character, character)


def _quantity(match: re.Match[str]) -> Quantity | None:
    """The number of a match; None if it is too large, or divided by 0."""
    number = _unsigned(match)
    if number is None:
        return None
    unit, size = _unit(match)
    for word in match["times"].split():
        size *= _SIZES.get(word.casefold().rstrip("."), 1000)
    negative = match["minus"] is not None or (match["sign"] or match["sign_behind"] or "+")[0] != "+"
    written = match[0].removesuffix(match["per"] or "").removesuffix(match["raised_word"] or "")
    written = written.removesuffix(match["unit"] or "").removesuffix(match["shape"] or "").strip().rstrip("-")
    return Quantity(
        number=-number * size if negative else number * size, unit=unit, written=written or match[0].strip()
    )


def _unsigned(match: re.Match[str]) -> Fraction | None:
    whole, part = re.sub(r"\D", "", match["whole"]), match["part"] or ""
    tens = _exponent(match["power"] or match["ten"] or match["ten_above"])
    raised = _exponent(match["raised"] or match["raised_above"])
    below = match["below"] or match["under"] or "1"
    digits = max(len(whole + part) * max(abs(raised or 1), 1), len(below))
    if abs(tens or 0) > _LARGEST_POWER or digits > _MOST_DIGITS or not int(below):
        return None
    number = Fraction(int(whole + part or "0"), 10 ** len(part))
    if match["vulgar"]:
        number += Fraction(unicodedata.numeric(match["vulgar"])).limit_denominator(10)
    if match["above"]:
        return number + Fraction(int(match["above"]), int(below))
    if raised is not None:
        number = number**raised if number or raised > 0 else Fraction(0)
    return number * Fraction(10) ** (tens or 0) / int(below)


def _exponent(written: str | None) -> int | None:
    return None if written is None else int(written.translate(_SUPERSCRIPTS).replace("−", "-"))


def _unit(match: re.Match[str]) -> tuple[str, Fraction]:
    """The unit, and the size of what is behind the number and no unit: 万, or the k of $5k."""
    unit, size = (match["unit"] or "").rstrip("_"), Fraction(1)
    while unit[:1] in _SIZES_UNSPACED:
        size *= _SIZES_UNSPACED[unit[0]]
        unit = unit[1:]
    money = (match["money"] or "").strip()
    if money:
        size *= _SIZES_OF_MONEY.get(unit.casefold(), 1)
        # "$5 each" is money; of two currencies the second is more exact: $5 CAD.
        return (unit if re.fullmatch(r"[A-Z]{3}", unit) else money), size
    if match["shape"] or match["raised_word"]:
        is_square = (match["shape"] or match["raised_word"]).strip().casefold().startswith(("sq", "squ"))
        unit = f"{unit}^{2 if is_square else 3}"
    if match["per"]:
        unit += "/" + re.sub(r"\A\s*(?:per\b|/|an?\b)\s*", "", match["per"], flags=re.IGNORECASE)
    return unit, size


def _is_set_aside(text: str, match: re.Match[str]) -> bool:
    """Whether the words before a number deny it, or only compare with it; or its sign may be a bullet."""
    before = text[max(0, match.start() - _CONTEXT) : match.start()]
    behind = text[match.end("times") :][: 2 * _CONTEXT]
    if _DENIED_BEHIND.search(behind) or _SIGN_OUTSIDE.search(before):
        return True
    if _DENIED.search(before) or (_COMPARED.search(before) and not _TAG.search(before)):
        return True
    has_space = match["sign"] is not None and match["sign"][-1].isspace()
    return has_space and "\n" in text.strip() and _BULLET.search(before) is not None


def _hedged(matches: Sequence[re.Match[str]], found: Sequence[Quantity], text: str) -> Iterator[int]:
    """Places of numbers that are joined to the next or the previous one as alternatives."""
    for place, (one, other) in enumerate(itertools.pairwise(matches)):
        if found[place].number == found[place + 1].number:
            continue
        between = text[one.end() : other.start()]
        if other["sign"] and other["sign"][0] != "+":
            between += other["sign"] if other["sign"][-1].isspace() else "x"
        before = text[max(0, one.start() - _CONTEXT) : one.start()]
        is_between = _BETWEEN.search(before) is not None and between.strip().casefold() in {
            "and",
            "und",
            "et",
            "y",
            "и",
        }
        if between.strip() and (is_between or _JOINED.match(between)):
            yield from (place, place + 1)
