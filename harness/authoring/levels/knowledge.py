"""Facts that are widely known, and some that are less so."""

from harness.authoring.levels.families import Family, fact

# Level, name, question, an answer that passes, what it contains, an answer that fails.
_FACTS = (
    ("easy", "capital-portugal", "What is the capital of Portugal?", "Lisbon", r"\bLisbon\b", "Porto"),
    ("easy", "frozen-water", "What is frozen water called?", "It is called ice.", r"\bice\b", "Steam"),
    ("easy", "spider-legs", "How many legs does a spider have?", "Eight.", r"\b(8|eight)\b", "Six"),
    ("easy", "days-leap-year", "How many days does a leap year have?", "366", r"\b366\b", "365"),
    ("easy", "bees-make", "What sweet food do bees make?", "Honey.", r"\bhoney\b", "Wax"),
    ("easy", "red-planet", "Which planet is called the Red Planet?", "Mars", r"\bMars\b", "Venus"),
    ("easy", "opposite-north", "Which direction is the opposite of north?", "South.", r"\bsouth\b", "East"),
    ("easy", "romeo-author", "Who wrote Romeo and Juliet?", "Shakespeare", r"\bShakespeare\b", "Dickens"),
    ("easy", "earth-star", "Which star is closest to the Earth?", "The Sun.", r"\bsun\b", "Sirius"),
    ("easy", "triangle-sides", "How many sides does a triangle have?", "Three.", r"\b(3|three)\b", "Four"),
    ("easy", "mona-lisa", "Who painted the Mona Lisa?", "Leonardo da Vinci", r"\bda Vinci|Leonardo\b", "Raphael"),
    ("easy", "baby-cat", "What is a young cat called?", "A kitten.", r"\bkitten", "A puppy"),
    ("easy", "seconds-minute", "How many seconds does a minute have?", "60", r"\b(60|sixty)\b", "100"),
    ("easy", "stripes", "Which African animal is known for its black and white stripes?", "The zebra.", r"\bzebras?\b", "The lion"),
    ("medium", "capital-australia", "What is the capital of Australia?", "Canberra", r"\bCanberra\b", "Sydney"),
    ("medium", "capital-canada", "What is the capital of Canada?", "Ottawa", r"\bOttawa\b", "Toronto"),
    ("medium", "iron-symbol", "What is the chemical symbol of iron?", "Fe", r"\bFe\b", "Ir"),
    ("medium", "speed-of-light", "About how many kilometres does light travel in one second?", "About 300,000 km.", r"\b(299|300)[.,\s'’]?\d{3}(?!\d)|\b(300|three hundred) thousand|\b(3([.,]0+)?|2[.,]99\d*) ?(×|x|\*|·|\\times) ?10 ?\^?\{?(5|⁵)", "30,000 km"),
    ("medium", "berlin-wall", "In which year did the Berlin Wall fall?", "In 1989.", r"\b1989\b", "1991"),
    ("medium", "evolution-author", "Who wrote On the Origin of Species?", "Charles Darwin", r"\bDarwin\b", "Mendel"),
    ("medium", "dna-shape", "Which two scientists are credited with the 1953 model of DNA's double helix?", "Watson and Crick", r"Watson[\s\S]*Crick|Crick[\s\S]*Watson", "Darwin and Wallace"),
    ("medium", "penicillin", "Who discovered penicillin?", "Alexander Fleming", r"\bFleming\b", "Pasteur"),
    ("medium", "hot-desert", "What is the largest hot desert on Earth?", "The Sahara.", r"\bSahara\b", "The Gobi"),
    ("medium", "river-egypt", "Which river flows through Cairo?", "The Nile.", r"\bNile\b", "The Congo"),
    ("medium", "blood-cells", "Which blood cells carry oxygen?", "Red blood cells.", r"\bred\b|erythrocyte", "Platelets"),
    ("medium", "binary-ten", "How is the decimal number 10 written in binary?", "1010", r"\b1010\b", "1100"),
    ("medium", "guernica", "Who painted Guernica?", "Pablo Picasso", r"\bPicasso\b", "Dalí"),
    ("medium", "1984-author", "Who wrote the novel 1984?", "George Orwell", r"\bOrwell\b", "Huxley"),
    ("medium", "powerhouse", "Which part of a cell is called its powerhouse?", "The mitochondrion.", r"\bmitochondri", "The nucleus"),
    ("medium", "http-404", "What does the HTTP status code 404 mean?", "Not found.", r"(not|n['’]t|unable to)( be| been)? (found|find|locate|exist)|\bmissing\b", "Server error"),
    ("hard", "capital-kazakhstan", "What is the capital of Kazakhstan?", "Astana", r"\bAstana\b|\bNur-?Sultan\b", "Almaty"),
    ("hard", "capital-myanmar", "What is the capital of Myanmar?", "Naypyidaw", r"\bNay ?pyi ?[td]aw\b", "Yangon"),
    ("hard", "tungsten-symbol", "What is the chemical symbol of tungsten?", "W", r"(?-i:\bW\b)", "Tu"),
    ("hard", "westphalia", "In which year was the Peace of Westphalia concluded?", "1648", r"\b1648\b", "1618"),
    ("hard", "noether", "Which mathematician proved in 1915 that each continuous symmetry belongs to a conserved quantity?", "Emmy Noether", r"\bNoether\b", "Hilbert"),
    ("hard", "deepest-lake", "What is the deepest lake on Earth?", "Lake Baikal", r"\bBaikal\b", "Lake Superior"),
    ("hard", "prime-after-89", "What is the smallest prime number above 89?", "97", r"\b97\b", "91"),
    ("hard", "avogadro", "Which scientist is the number of particles in one mole named after?", "Avogadro", r"\bAvogadro\b", "Planck"),
    ("hard", "quicksort-worst", "What is the worst-case time complexity of quicksort, in big O notation?", "O(n^2)", r"O\s*\(\s*n\s*(\^|\*\*)?\s*\{?[2²]\}?\s*\)|quadratic", "O(n log n)"),
    ("hard", "don-giovanni", "Who composed the opera Don Giovanni?", "Mozart", r"\bMozart\b", "Verdi"),
    ("hard", "antananarivo", "On which island is the city of Antananarivo?", "Madagascar", r"\bMadagascar\b", "Java"),
    ("hard", "https-port", "Which TCP port does HTTPS use by default?", "443", r"\b443\b", "80"),
    ("hard", "tokugawa", "Which shogunate ruled Japan from 1603 to 1868?", "The Tokugawa shogunate.", r"\bTokugawa\b|\bEdo\b", "Ashikaga"),
    ("hard", "pancreas-hormone", "Which hormone of the pancreas raises blood sugar?", "Glucagon", r"\bglucagon\b", "Insulin"),
)  # fmt: skip


def families(_seed: int) -> list[Family]:
    """The families of this skill; nothing is drawn."""
    return [fact(name, "knowledge", level, *rest) for level, name, *rest in _FACTS]
