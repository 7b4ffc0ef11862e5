"""Questions in German, French, Spanish, Italian and Chinese: facts, words, sums, forms, translation."""

from harness.authoring.levels.families import PLAIN, Family, Probe, matches

# Level, language, name, question, an answer that passes, what it contains, an answer that fails.
_ROWS = (
    ("easy", "german", "capital", "Was ist die Hauptstadt von Frankreich?", "Paris", r"\bParis\b", "Berlin"),
    ("easy", "german", "days", "Wie viele Tage hat eine Woche?", "Sieben", r"\b(7|sieben)\b", "Fünf"),
    ("easy", "german", "opposite", "Was ist das Gegenteil von groß?", "klein", r"\bklein", "riesig"),
    ("easy", "german", "cow-milk", "Welches Tier gibt Milch und macht Muh?", "Die Kuh.", r"\bKuh\b|\bKühe?\b", "Der Hund."),
    ("medium", "german", "plural", "Wie lautet der Plural von „das Haus“?", "die Häuser", r"\bHäuser\b", "die Hausen"),
    ("medium", "german", "translate-to", "Übersetze ins Deutsche: The train is late.", "Der Zug hat Verspätung.", r"\bZug\b[\s\S]*(spät|Verspätung)", "Le train est en retard."),
    ("medium", "german", "sum", "Wie viel ist siebzehn plus acht? Antworte mit der Zahl.", "25", r"\b25\b", "24"),
    ("hard", "german", "past-tense", "Setze ins Präteritum: „Ich gehe nach Hause und esse.“", "Ich ging nach Hause und aß.", r"\bging\b[\s\S]*\b(aß|ass)\b", "Ich gehte nach Hause und esste."),
    ("hard", "german", "kafka", "Wer schrieb „Die Verwandlung“?", "Franz Kafka", r"\bKafka\b", "Goethe"),
    ("easy", "french", "capital", "Quelle est la capitale de l'Italie ?", "Rome", r"\bRome\b", "Milan"),
    ("easy", "french", "months", "Combien de mois y a-t-il dans une année ?", "Douze", r"\b(12|douze)\b", "Dix"),
    ("easy", "french", "opposite", "Quel est le contraire de « chaud » ?", "froid", r"\bfroid", "tiède"),
    ("easy", "french", "colour-lemon", "De quelle couleur est un citron mûr ?", "Jaune", r"\bjaune", "bleu"),
    ("medium", "french", "plural", "Quel est le pluriel de « cheval » ?", "chevaux", r"\bchevaux\b", "chevals"),
    ("medium", "french", "translate-to", "Traduis en français : The book is on the table.", "Le livre est sur la table.", r"\blivre\b[\s\S]*\btable\b", "Das Buch ist auf dem Tisch."),
    ("medium", "french", "sum", "Combien font quatre-vingts moins quinze ? Réponds par le nombre.", "65", r"\b65\b", "75"),
    ("hard", "french", "subjunctive", "Complète avec la bonne forme du verbe : « Il faut que tu ___ (venir) demain. »", "viennes", r"\bviennes\b", "viens"),
    ("hard", "french", "etranger", "Qui a écrit « L'Étranger » ?", "Albert Camus", r"\bCamus\b", "Sartre"),
    ("easy", "spanish", "capital", "¿Cuál es la capital de Francia?", "París", r"\bPar[ií]s\b", "Lyon"),
    ("easy", "spanish", "hours", "¿Cuántas horas tiene un día?", "Veinticuatro", r"\b(24|veinticuatro)\b", "Doce"),
    ("easy", "spanish", "opposite", "¿Cuál es el contrario de «alto»?", "bajo", r"\bbaj[oa]", "grande"),
    ("easy", "spanish", "animal-barks", "¿Qué animal ladra?", "El perro.", r"\bperr[oa]s?\b", "El gato."),
    ("medium", "spanish", "plural", "¿Cuál es el plural de «lápiz»?", "lápices", r"\bl[aá]pices\b", "lápizes"),
    ("medium", "spanish", "translate-to", "Traduce al español: My sister lives in a small house.", "Mi hermana vive en una casa pequeña.", r"\bhermana\b[\s\S]*\bcas", "Ma sœur habite une petite maison."),
    ("medium", "spanish", "sum", "¿Cuánto es treinta y seis más diecinueve? Responde con el número.", "55", r"\b55\b", "45"),
    ("hard", "spanish", "subjunctive", "Completa con la forma correcta: «Espero que ellos ___ (tener) suerte.»", "tengan", r"\btengan\b", "tienen"),
    ("hard", "spanish", "macondo", "¿En qué novela de García Márquez aparece el pueblo de Macondo?", "Cien años de soledad", r"cien años de soledad", "Rayuela"),
    ("easy", "italian", "capital", "Qual è la capitale della Spagna?", "Madrid", r"\bMadrid\b", "Barcellona"),
    ("easy", "italian", "opposite", "Qual è il contrario di «giorno»?", "notte", r"\bnotte\b", "sera"),
    ("easy", "italian", "fingers", "Quante dita ha una mano?", "Cinque", r"\b(5|cinque)\b", "Dieci"),
    ("medium", "italian", "plural", "Qual è il plurale di «l'uovo»?", "le uova", r"\buova\b", "gli uovi"),
    ("medium", "italian", "translate-to", "Traduci in italiano: I drink coffee every morning.", "Bevo caffè ogni mattina.", r"\bcaff[eè]\b[\s\S]*\bmattin", "Je bois du café chaque matin."),
    ("medium", "italian", "sum", "Quanto fa ventotto più tredici? Rispondi con il numero.", "41", r"\b41\b", "31"),
    ("hard", "italian", "participle", "Completa al passato prossimo: «Ieri io ___ (leggere) un libro.»", "ho letto", r"\bho letto\b", "ho leggiuto"),
    ("easy", "chinese", "capital", "法国的首都是哪里？", "巴黎", r"巴黎", "伦敦"),
    ("easy", "chinese", "opposite", "“大”的反义词是什么？", "小", r"小", "高"),
    ("easy", "chinese", "week", "一个星期有几天？", "七天", r"七|7", "五天"),
    ("medium", "chinese", "translate-to", "请翻译成中文：I like to drink tea.", "我喜欢喝茶。", r"喝茶", "我喜欢咖啡。"),
    ("medium", "chinese", "sum", "三十五加二十八等于多少？请用阿拉伯数字回答。", "63", r"63", "53"),
    ("hard", "chinese", "novel", "《红楼梦》的作者是谁？", "曹雪芹", r"曹雪芹", "吴承恩"),
    ("hard", "chinese", "idiom", "请补全成语：“画蛇添___”。", "足", r"足", "手"),
)  # fmt: skip


def families(_seed: int) -> list[Family]:
    """The families of this skill; nothing is drawn."""
    return [
        Family(
            name=f"{language}-{name}",
            skill="languages",
            level=level,
            tags=(language,),
            tokens=64,
            probes=(Probe(ask=ask, right=right, checks=[matches(pattern), PLAIN], wrong=(wrong,)),),
        )
        for level, language, name, ask, right, pattern, wrong in _ROWS
    ]
