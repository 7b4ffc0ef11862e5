"""Python functions to write; their tests run in a sandboxed process."""

from harness.authoring.levels.families import Family, Probe

_ASK = "Write a Python function {signature} that {does}. Answer with the code in one code block."

# Level, name, signature, what it does, its body on one line or several, its tests.
_ROWS = (
    ("easy", "code-add", "add(a, b)", "returns the sum of two numbers", "return a + b", ["add(2, 3) == 5", "add(-1, 1) == 0"]),
    ("easy", "code-is-even", "is_even(n)", "returns True if n is even and False otherwise", "return n % 2 == 0", ["is_even(4) is True", "is_even(7) is False"]),
    ("easy", "code-square", "square(n)", "returns n squared", "return n * n", ["square(5) == 25", "square(-3) == 9"]),
    ("easy", "code-greet", "greet(name)", "returns the text 'Hello, NAME!' with the name filled in", "return f'Hello, {name}!'", ["greet('Ann') == 'Hello, Ann!'", "greet('Bo') == 'Hello, Bo!'"]),
    ("easy", "code-last", "last(items)", "returns the last item of a list", "return items[-1]", ["last([1, 2, 9]) == 9", "last(['x']) == 'x'"]),
    ("easy", "code-reverse", "reverse(text)", "returns a text backwards", "return text[::-1]", ["reverse('abc') == 'cba'", "reverse('') == ''"]),
    ("easy", "code-maximum", "largest(numbers)", "returns the largest number of a list", "return max(numbers)", ["largest([3, 9, 2]) == 9", "largest([-4, -2]) == -2"]),
    ("medium", "code-count-vowels", "count_vowels(text)", "returns how many of the letters a, e, i, o, u a text has, in either case", "return sum(c in 'aeiou' for c in text.lower())", ["count_vowels('Education') == 5", "count_vowels('rhythm') == 0"]),
    ("medium", "code-factorial", "factorial(n)", "returns the factorial of n, with factorial(0) == 1", "return 1 if n == 0 else n * factorial(n - 1)", ["factorial(0) == 1", "factorial(6) == 720"]),
    ("medium", "code-palindrome", "is_palindrome(text)", "says whether a text reads the same backwards, ignoring case and spaces", "t = text.lower().replace(' ', '')\n    return t == t[::-1]", ["is_palindrome('Never odd or even')", "not is_palindrome('hello')"]),
    ("medium", "code-unique", "unique(items)", "returns the items of a list without repetitions, in order of first occurrence", "return list(dict.fromkeys(items))", ["unique([3, 1, 3, 2, 1]) == [3, 1, 2]", "unique([]) == []"]),
    ("medium", "code-fibonacci", "fib(n)", "returns the n-th Fibonacci number, with fib(0) == 0 and fib(1) == 1", "a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a", ["fib(0) == 0", "fib(1) == 1", "fib(10) == 55"]),
    ("medium", "code-word-lengths", "word_lengths(text)", "returns a dict from each word of a text, split at spaces, to its length", "return {w: len(w) for w in text.split()}", ["word_lengths('a bee sees') == {'a': 1, 'bee': 3, 'sees': 4}", "word_lengths('') == {}"]),
    ("medium", "code-flatten", "flatten(lists)", "turns a list of lists into one flat list", "return [x for inner in lists for x in inner]", ["flatten([[1], [2, 3], []]) == [1, 2, 3]", "flatten([]) == []"]),
    ("medium", "code-second-largest", "second_largest(numbers)", "returns the second largest of the different numbers in a list", "return sorted(set(numbers))[-2]", ["second_largest([5, 1, 5, 4]) == 4", "second_largest([2, 1]) == 1"]),
    ("hard", "code-roman", "to_roman(n)", "returns the Roman numeral of a whole number from 1 to 3999", "out = ''\n    for v, s in [(1000, 'M'), (900, 'CM'), (500, 'D'), (400, 'CD'), (100, 'C'), (90, 'XC'), (50, 'L'), (40, 'XL'), (10, 'X'), (9, 'IX'), (5, 'V'), (4, 'IV'), (1, 'I')]:\n        out += s * (n // v)\n        n %= v\n    return out", ["to_roman(1994) == 'MCMXCIV'", "to_roman(4) == 'IV'", "to_roman(3999) == 'MMMCMXCIX'"]),
    ("hard", "code-brackets", "balanced(text)", "says whether all round, square and curly brackets of a text are closed in the right order", "stack = []\n    for c in text:\n        if c in '([{':\n            stack.append(c)\n        elif c in ')]}' and (not stack or stack.pop() + c not in ('()', '[]', '{}')):\n            return False\n    return not stack", ["balanced('a(b[c]{d})')", "not balanced('(]')", "not balanced('((')", "balanced('')"]),
    ("hard", "code-merge-intervals", "merge(intervals)", "merges overlapping or touching intervals, given as a list of [start, end] pairs, and returns a list of [start, end] lists in ascending order", "out = []\n    for s, e in sorted(intervals):\n        if out and s <= out[-1][1]:\n            out[-1][1] = max(out[-1][1], e)\n        else:\n            out.append([s, e])\n    return out", ["[list(x) for x in merge([[8, 10], [1, 3], [2, 6]])] == [[1, 6], [8, 10]]", "[list(x) for x in merge([[1, 4], [4, 5]])] == [[1, 5]]", "merge([]) == []"]),
    ("hard", "code-run-lengths", "encode(text)", "returns the run-length encoding of a text as a list of (character, count) tuples", "out = []\n    for c in text:\n        if out and out[-1][0] == c:\n            out[-1] = (c, out[-1][1] + 1)\n        else:\n            out.append((c, 1))\n    return out", ["encode('aabccc') == [('a', 2), ('b', 1), ('c', 3)]", "encode('') == []", "encode('aba') == [('a', 1), ('b', 1), ('a', 1)]"]),
    ("hard", "code-primes", "primes(n)", "returns a list of all prime numbers below n", "return [p for p in range(2, n) if all(p % d for d in range(2, int(p**0.5) + 1))]", ["primes(20) == [2, 3, 5, 7, 11, 13, 17, 19]", "primes(2) == []"]),
    ("hard", "code-edit-distance", "distance(a, b)", "returns the Levenshtein distance of two texts", "row = list(range(len(b) + 1))\n    for i, x in enumerate(a, 1):\n        last, row[0] = row[0], i\n        for j, y in enumerate(b, 1):\n            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))\n    return row[-1]", ["distance('kitten', 'sitting') == 3", "distance('', 'abc') == 3", "distance('same', 'same') == 0"]),
    ("hard", "code-longest-run", "longest(numbers)", "returns the length of the longest strictly increasing run of neighbouring numbers in a list, and 0 for an empty list", "best = run = 0\n    for i, n in enumerate(numbers):\n        run = run + 1 if i and n > numbers[i - 1] else 1\n        best = max(best, run)\n    return best", ["longest([1, 2, 1, 2, 3, 4, 0]) == 4", "longest([]) == 0", "longest([5, 5]) == 1"]),
)  # fmt: skip


def families(_seed: int) -> list[Family]:
    """The families of this skill; nothing is drawn."""
    return [
        Family(
            name=name,
            skill="code",
            level=level,
            tokens=128 if level == "easy" else 320,
            probes=(_probe(signature, does, body, tests),),
        )
        for level, name, signature, does, body, tests in _ROWS
    ]


def _probe(signature: str, does: str, body: str, tests: list[str]) -> Probe:
    program = f"def {signature}:\n    {body}"
    return Probe(
        ask=_ASK.format(signature=signature, does=does),
        right=f"```python\n{program}\n```",
        checks=[
            {"type": "code", "transform": "code-block", "value": "\n".join(f"assert {one}" for one in tests)}
        ],
        wrong=(f"```python\ndef {signature}:\n    return None\n```", "It takes a few lines of Python."),
    )
