"""Short statements beside a passing verdict, in any language: one that isn't known to agree is a doubt.

Long sentences are read in English only. A line of a few words, a value behind a label such as ``Urteil:``, a
cell of a table or a symbol is most likely a verdict, whatever its language, so it must be known to be
harmless.
"""

import json
import re
import unicodedata
from collections.abc import Iterator

from harness.judge.spelling import plain_key

_LABELS = """
verdict decision ruling judgment judgement result outcome conclusion overall assessment rating
evaluation pass passed urteil ergebnis bewertung fazit entscheidung gesamt jugement résultat
décision évaluation avis veredicto resultado decisión decisão conclusión conclusão evaluación juicio
verdetto giudizio esito risultato decisione veredito avaliação вердикт решение результат итог вывод
оценка вирок рішення висновок werdykt wyrok ocena wynik decyzja oordeel uitslag beslissing conclusie
bedømmelse afgørelse omdöme bedömning utslag vurdering dom konklusjon tuomio arvio päätös αποτέλεσμα
ετυμηγορία απόφαση karar sonuç değerlendirme putusan hasil hukum keputusan penilaian verdikt
rozsudek ítélet eredmény döntés rezultat verdict décision الحكم النتيجة القرار التقييم פסק תוצאה
החלטה निर्णय परिणाम फैसला মূল্যায়ন রায় 判定 结论 結論 结果 結果 评判 評判 裁决 裁決 评价 評価 判断
判決 판정 결과 결론 평가 판단 ผลการตัดสิน ผล สรุป quyết luận
"""
_ENGLISH_LABELS = """
verdict decision ruling judgment judgement result outcome conclusion overall assessment rating
evaluation pass passed
"""
_ENGLISH = frozenset(_ENGLISH_LABELS.split())
_VERDICT_LABELS = frozenset(_LABELS.split())
_GOOD = """
pass passed passes passing yes true ok okay good correct accepted approved satisfied met positive
fulfilled valid bestanden erfüllt richtig ja réussi conforme oui aprobado sí correcto correcta
superato promosso sì aprovado sim correto пройдено зачтено да geslaagd voldoende godkänt godkendt
bestått godkjent hyväksytty zaliczone tak başarılı geçti evet lulus đạt ผ่าน 合格 通过 通過 合格です
합격 통과 ناجح עבר उत्तीर्ण επιτυχία
"""
_POSITIVE = frozenset(_GOOD.split())
_BAD = """
fail failed fails failure failing false no not none reject rejected rejects incorrect wrong invalid
bad unmet denied insufficient inadequate unsatisfactory unsatisfied unacceptable negative nein
durchgefallen ungenügend falsch échec échoué refusé non suspenso reprobado rechazado incorrecto
bocciato respinto reprovado rejeitado нет провал неверно отклонено onvoldoende gezakt afgewezen
underkänt ikke hylätty niezaliczone odrzucono başarısız kaldı hayır gagal ไม่ผ่าน 不合格 不通过
不通過 失败 失敗 否 불합격 실패 아니오 فشل راسب לא נכשל असफल नहीं αποτυχία όχι f
"""
_NEGATIVE = frozenset(_BAD.split())
# Names of keys: true says that it passes, or that it doesn't.
_GOOD_NAMES = re.compile(
    r"pass|verdict|final|overall|result|decision|outcome|label|conclusion|correct|accept|approv|satisf|success|"
    r"score|grade|rating|\bmet$|\bok$|fulfil|valid$"
)
_BAD_NAMES = re.compile(
    r"fail|reject|incorrect|wrong|invalid|unmet|denied|toxic|harm|halluc|refus|\bbias|spam|injection|manipul|off.?topic|contradict"
)
# Names of what an answer may lack: something there denies a pass.
_FAULTS = re.compile(r"missing|error|issue|problem|violat|\bfaults?\b|defect|flaw|deduct|penalt")
_NONE = re.compile(
    r"\W*(?:none|no|nothing|n/?a|nil|null|zero|0|false|keine?|aucune?|ninguno|нет|无|なし)?\b(?:\s\w+){0,3}\W*",
    re.I,
)
_POINTS = re.compile(r"criteri|check|requirement|condition|rubric|^points?$|^items?$")
# In one of an answer's points, which are short.
_POINT_DENIED = re.compile(
    r"\b(?:no|not|never|cannot|missing|absent|lacks?|without|unmet|fail(?:s|ed|ure)?|incorrect|wrong|partial(?:ly)?)\b|n['’]t\b"
    r"|\[\s*\]|☐|[:=]\s*[x×]\s*(?:[,;.\n)]|$)",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[.,;!?\n。，、；！？]")
_DENIAL_WORDS = """
nicht kein keine pas non no não не nie niet geen ikke inte ei không tidak
"""
_NOTS = frozenset(_DENIAL_WORDS.split())
# A reason may quote an answer of one word.
_WORDS_OF_ANSWERS = """
нет 否 아니오 لا לא नहीं όχι hayır não
"""
_SAID_BY_ANSWERS = frozenset(_WORDS_OF_ANSWERS.split())
_FAILS = re.compile(r"(?:fail(?:ed|s|ure)?|reject(?:ed)?)\W*", re.IGNORECASE)
_NO_SYMBOLS = re.compile("[❌✗✘✖👎⛔🚫🛑🔴]")
_NOTHING = re.compile(r"(?<![\d./])0(?:\.0+)?\s*(?:/|out of|of|von|sur|de|из)\s*\d")
_IN_MARK = re.compile(r"<[^<>]*[\"'=\s](?P<word>\w+)[\"']?\s*/?>")
_TAG = re.compile(r"<[^<>\n]{0,80}>|```\w*|~~~\w*")
# Words of headings, of introductions and of courtesy.
_HARMLESS = """
a again all analysis and answer as asked assistant below certainly check comparison conclusion
course criteria criterion decide decision done draft evaluation explanation final finally following
for format formatted given great happy hello help helps here hi hope i in is it item json judge
judgement judgment just let ll look me my now object of ok okay output overall please point points
process rationale reason reasoning reply requested response result rubric see sure step summary task
thank thanks that the then thinking this thought thoughts to understood valid verdict wait we
welcome well what will with you your yes hmm so right alright first second third
"""
_NEUTRAL = frozenset(_HARMLESS.split())
# By them a line is known to be English, in which denials are recognised.
_COMMON = """
about all also are asks be both but complete contains covers days facts fine fully good has have its
looks meets missing mentions mention named names needed nothing one passes right satisfies says so
there therefore they thus was were which
"""
_ENGLISH_WORDS = _NEUTRAL | frozenset(_COMMON.split())
_ENGLISH_DENIALS = """
fail failed fails failure failing false reject rejected rejects incorrect wrong invalid bad unmet
denied insufficient inadequate unsatisfactory unsatisfied unacceptable negative down poor lacking
nope nah
"""
_DENYING = frozenset(_ENGLISH_DENIALS.split())
_OPENS_WITH_NO = re.compile(
    r"\W*(?:not|no|never)(?:\W|$)(?!\s*\w+\s+(?:is|are|was|were)\s+missing)", re.IGNORECASE
)
# Besides these, and what is harmless, nothing may introduce a pass on its line or the one before.
_INTRODUCTIONS = """
based given therefore thus conclude considering careful above rubric reference question per according
provide provided return you go are honest view opinion single one only valid structured following below grade
score winner passes passed
mein meine mit hier ist das der die also damit somit lautet wie folgt voici mon ma le la est donc aquí
aqui está mi es por tanto ecco il è mio minha meu mijn het een вот мой моё моя это итак
"""
_INTRODUCING = frozenset(_INTRODUCTIONS.split())
_UNSPACED_INTRODUCTION = re.compile(
    r"(?:以下|以上|最终|最終|我们|我|私|の|的|是|为|為|は|が|:|よって|因此|所以)*"
)
_SENTENCE_END = re.compile(r"[.!?…。！？](?=[\s\"'”’)*_`]|$)")
_FENCE = re.compile(r"(?:```|~~~)[\w-]*")
# What hides the rest of a line in code or in Markdown, and a quotation.
_COMMENT = re.compile(r"(?:/\*|//|--|#|%|;|\[//\]: # \()\s*$|^\s*(?:>\s*)+$")
_WITHDRAWING = re.compile(
    r"\b(?:no|not|never|wrong|incorrect|errors?|mistakes?|mistaken|void|revers\w+|trick\w*|fool\w*|inject\w*"
    r"|payload|false|fail\w*|wanted|rejected?)\b|n['’]t\b",
    re.IGNORECASE,
)
_NOT_ASKED = re.compile(
    r"\b(?:do(?:es)?|did)\s*(?:not|n['’]t)\s+(?:ask|require|need|mention|demand)\b", re.IGNORECASE
)
_NUMBER = re.compile(
    r"(?:[^\W\d][\w ]{0,20}\s*[:=]\s*)?(?P<value>\d{1,6}(?:\.\d{1,6})?)\s*"
    r"(?:(?P<percent>%)|(?:/|out of)\s*(?P<most>\d{1,6}))?\W*"
)
_LIST_ITEM = re.compile(r"^\s*(?:[-*•+]|\(?\d{1,3}[.)])\s+")
_LABELLED = re.compile(r"^(?P<label>[^:：=\n]{1,40}?)\s*(?:[:：=]|\s[—–-]\s)\s*(?P<value>\S.*)$")
_FEW_WORDS = 4
_SHORT = 12
_WHAT = r"(?:rubric|criteri(?:a|on)|requirements?|conditions?|standards?|points?|expectations?)"
_NOT = r"(?:not|n['’]t|never)"
_ITSELF = r"(?:answer|response|reply|it|this)"
_BAD_WORDS = r"(?:incorrect|wrong|unsatisfactory|insufficient|inadequate|unacceptable|rejected)"
# Sentences that deny, in English; not about what nobody asked for.
DENIALS = re.compile(
    rf"\b{_WHAT}\s+(?:(?:is|are|was|were|has been|have been)\s*)?{_NOT}\s+(?:\w+\s+)?"
    r"(?:met|satisfied|fulfilled|passed)\b"
    rf"|\b(?<!no ){_WHAT}\s+(?:is|are|was|were)\s+(?:unmet|unsatisfied|unfulfilled|violated|failed)\b"
    rf"|\bnone\s+of\s+the\s+(?:rubric['’]s\s+)?{_WHAT}\s+(?:is|are|was|were)\s+(?:met|satisfied|fulfilled)\b"
    rf"|\bviolates?\s+(?:the|this|a)\s+{_WHAT}\b|^\W{{0,9}}(?:not\s+|un)(?:met|satisfied|fulfilled)\b"
    rf"|\b(?:do|does|did)\s*{_NOT}\s+(?:\w+\s+)?(?:meet|satisfy|fulfil+)\s+"
    rf"(?:the|this|these|all|any|its|every|each|both|what|{_WHAT})\b"
    rf"|\b{_ITSELF}\s+fail(?:s|ed)\s+to\s+(?:\w+\s+)?(?:meet|satisfy|fulfil+|pass)\b"
    r"|\b(?:answer|response|reply)\s+fails\s+(?:because|since|due)\b"
    rf"|\b{_ITSELF}\s+(?:must|should|has\s+to|needs\s+to|can(?:not|['’]t)|{_NOT}\s+to)\s+be\s+"
    r"(?:rejected|failed)\b"
    rf"|\b(?:should|must|can|could|may)\s*{_NOT}\s+be\s+(?:passed|accepted|approved)\b"
    rf"|\bI\s+(?:would|will|can|could|do)\s*{_NOT}\s+(?:pass|accept|approve)\b"
    rf"|\bnot\s+a\s+pass(?:ing\s+{_ITSELF})?\b|\b(?:verdict|decision|ruling)\s+is\s+(?:\w+\s+)?negative\b"
    r"|\bis\s+(?:false|untrue)\s+that\s+\w+(?:\s+\w+)?\s+(?:satisf|meet|fulfil|pass)"
    rf"|\b(?:give|gave|mark|marked|rate|rated|grade|graded|call|called)\s+(?:the\s+)?{_ITSELF}\s+(?:as\s+)?(?:an?\s+)?"
    rf"(?:false|fail(?:ed|ure|ing)?|zero|{_BAD_WORDS})\b"
    rf"|\b(?:answer|response|reply|it)\s+is\s+(?:\w+\s+)?{_BAD_WORDS}\b"
    rf"|\b(?:answer|response|reply|it|this)\s+(?:(?:do|does|did|can|should)\s*{_NOT}\s+pass|"
    r"is a fail(?:ure)?\b|fails(?=\s+(?:the|this|that|on|both|all)\b|\s*[.,;:!]|\s*$))"
    rf"|^\W{{0,9}}(?:do|does|did)\s*{_NOT}\s+pass\b"
    r"|\bshould be (?:false|a fail|fail(?:ed)?|rejected)\b|^\W{0,9}fails?\W",
    re.IGNORECASE | re.MULTILINE,
)


def reason_denies(text: str) -> bool:
    """Whether the reason beside a passing verdict denies it: in English, or by a verdict in another language.

    Args:
        text: The reason.
    """
    if DENIALS.search(text):
        return True
    for clause in _CLAUSE.split(text):
        label, mark, value = clause.replace("：", ":").rpartition(":")
        named = {word for word in _words(label) if word in _VERDICT_LABELS}
        elsewhere = not named <= _ENGLISH or not value.isascii()
        if mark and named and elsewhere and (is_negative(value) or _NOTS & set(_words(value))):
            return True
        if not clause.isascii() and "".join(_words(clause)) in _NEGATIVE - _SAID_BY_ANSWERS:
            return True
    return False


def is_negative(text: str) -> bool:
    """Whether a text is a word that denies, in one of some thirty languages, or begins or ends with one.

    Args:
        text: A value or a cell of a table.
    """
    words = _words(text)
    few = 0 < len(words) <= _FEW_WORDS
    return bool(_NO_SYMBOLS.search(text)) or (few and any(word in _NEGATIVE for word in words))


def is_verdict_label(name: str) -> bool:
    """Whether a key or label names a verdict, in one of some thirty languages."""
    return any(word in _VERDICT_LABELS for word in _words(name))


def is_positive(text: str) -> bool:
    """Whether a whole value says that something passes."""
    words = _words(text)
    return "".join(words) in _POSITIVE or (not words and bool(re.search("[✅✓✔👍💯🟢]", text)))


def denied_inside(value: object, *, is_verdict: bool = False) -> bool:
    """Whether something beside a passing verdict in its object denies it.

    Args:
        value: The object without the verdict, or what is inside of it.
        is_verdict: It belongs to a key that names a verdict.
    """
    if isinstance(value, dict):
        return any(
            _key_denied(plain_key(str(name)), item, is_verdict=is_verdict) for name, item in value.items()
        )
    if isinstance(value, list):
        return any(denied_inside(one, is_verdict=is_verdict) for one in value)
    if isinstance(value, str):
        return _text_denied(value, is_verdict=is_verdict)
    # False, null and no points at all; a 1 or 0.8 has a scale of its own.
    return is_verdict and not value


def _key_denied(name: str, item: object, *, is_verdict: bool) -> bool:
    if _FAULTS.search(name):
        return bool(item) and not (isinstance(item, str) and _NONE.fullmatch(item))
    if _BAD_NAMES.search(name):
        return item is True or (isinstance(item, str) and is_positive(item))
    if _POINTS.search(name) and any(map(_point_denied, _points(item))):
        return True
    if item is False or (isinstance(item, str) and _short_denial(item)):
        return True
    named = is_verdict or bool(_GOOD_NAMES.search(name)) or is_verdict_label(name)
    return denied_inside(item, is_verdict=named)


def _points(item: object) -> list[object]:
    if isinstance(item, dict):
        return list(item.values())
    return item if isinstance(item, list) else [item]


def _point_denied(point: object) -> bool:
    if isinstance(point, str):
        return _POINT_DENIED.search(point) is not None or any(
            map(_short_denial, re.split(r"[:;,|\n–—]", point))
        )
    return point is False


def _short_denial(text: str) -> bool:
    """Whether a whole text is a word or two that deny."""
    return _NO_SYMBOLS.search(text) is not None or (len(_words(text)) < _FEW_WORDS and is_negative(text))


def _text_denied(text: str, *, is_verdict: bool) -> bool:
    if "{" in text:
        try:
            inner = json.loads(text, strict=False)
        except (ValueError, RecursionError):
            inner = None
        if isinstance(inner, dict | list):
            return denied_inside(inner, is_verdict=is_verdict)
    if not is_verdict:
        said = (_FAILS.fullmatch(text.strip()), _NO_SYMBOLS.search(text), _NOTHING.search(text))
        return any(each is not None for each in said) or reason_denies(text)
    return not is_positive(text) and (_is_short(text) or not text.isascii() or bool(DENIALS.search(text)))


def doubtful(prose: str) -> bool:
    """Whether prose beside a passing verdict holds a statement that may say otherwise.

    Args:
        prose: The text without objects.
    """
    if _NO_SYMBOLS.search(prose) or _NOTHING.search(prose) or DENIALS.search(prose):
        return True
    if any(is_negative(one["word"]) for one in _IN_MARK.finditer(prose)):
        return True
    return any(map(_doubted, prose.splitlines()))


def introduced(before: str) -> bool:
    """Whether the words right before an object announce it as the verdict, or are a statement of their own.

    Args:
        before: The text before it, behind the object before that.
    """
    text = _FENCE.sub("", before).rstrip(" \t")
    line = text.rpartition("\n")[2].strip()
    if not line:
        line = next((one.strip() for one in reversed(text.splitlines()) if one.strip()), "")
        if not line.rstrip("*_`\"' ").endswith((":", "：", "=", "→", "->", "-", "–", "—")):
            return True
    if _COMMENT.search(line):
        return False
    return all(map(_introduces, _words(_SENTENCE_END.split(_TAG.sub(" ", line))[-1])))


def _introduces(word: str) -> bool:
    known = _NEUTRAL | _VERDICT_LABELS | _INTRODUCING
    return word in known or word.isdigit() or _UNSPACED_INTRODUCTION.sub("", word, count=1) in known


def taken_back(behind: str) -> bool:
    """Whether words behind a passing verdict may withdraw it.

    Args:
        behind: The text behind the last object.
    """
    return _WITHDRAWING.search(_NOT_ASKED.sub("", behind)) is not None


def _is_low(text: str) -> bool:
    """Whether a text is a number that is less than half of the most, perhaps behind a label."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return False
    most = 100.0 if found["percent"] else float(found["most"] or 1)
    return float(found["value"]) < most / 2


def _doubted(line: str) -> bool:
    if line.count("|") > 0 and not _TAG.search(line):
        return any(is_negative(cell) for cell in line.split("|"))
    line = _TAG.sub(" ", line)
    is_item = _LIST_ITEM.match(line) is not None
    text = _LIST_ITEM.sub("", line).strip(" \t#>*_`~\"'()[]")
    if not text or text.endswith((":", "：")):
        return False
    if _is_low(text):
        return True
    labelled = _LABELLED.match(text)
    if labelled is not None:
        return _label_doubted(labelled["label"], labelled["value"], is_item=is_item)
    return not is_item and _is_short(text) and not _harmless(text) and not _affirms(text)


def _label_doubted(label: str, value: str, *, is_item: bool) -> bool:
    if is_positive(value):
        return False
    words = _words(label)
    if any(word in _VERDICT_LABELS for word in words):
        english = any(word in _ENGLISH for word in words) and value.isascii()
        return not english or (_is_short(value) and not _harmless(value))
    return _is_short(value) and (is_negative(value) or not (is_item or f"{label}{value}".isascii()))


def _is_short(text: str) -> bool:
    words = _words(text)
    spaced = all(ord(character) < 0x0E00 for word in words for character in word)
    return bool(words) and (len(words) <= _FEW_WORDS if spaced else len("".join(words)) <= _SHORT)


def _harmless(text: str) -> bool:
    known = _NEUTRAL | _VERDICT_LABELS
    return is_positive(text) or all(word in known or word.isdigit() for word in _words(text))


def _affirms(text: str) -> bool:
    """Whether a short line is English and denies nothing."""
    words = set(_words(text))
    return (
        text.isascii()
        and bool(words & _ENGLISH_WORDS)
        and not words & _DENYING
        and not _OPENS_WITH_NO.match(text)
    )


def _words(text: str) -> list[str]:
    return list(_of(unicodedata.normalize("NFKC", text).casefold()))


def _of(text: str) -> Iterator[str]:
    """Runs of letters with their marks and digits."""
    yield from re.findall(r"(?:[^\W_]|[\u0300-\u036f\u0900-\u097f\u0e30-\u0e4e])+", text)
