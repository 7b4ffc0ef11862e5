"""Judges of ragas' questions that a test scripts: they are right by the letter, or as a person worked it out."""

import json
import re


def asked(body):
    """Ragas' input: the JSON object at the end of its prompt, the first message also where it is asked twice."""
    prompt = body["messages"][0]["content"]
    return json.loads(prompt.rpartition("\ninput: ")[2].rpartition("Output:")[0])


def kind(body):
    """Which question it is, by the reply's schema."""
    schema = body["response_format"]["json_schema"]["schema"]
    return schema["title"]


def sentences(text):
    return re.findall(r"[^.]+\.", text)


def by_words(body):
    """A judge that is right by the letter: a statement is supported if its last word is in the context."""
    given = asked(body)
    match kind(body):
        case "StatementGeneratorOutput":
            return {"statements": sentences(given["answer"])}
        case "NLIStatementOutput":
            return {
                "statements": [
                    {"statement": one, "reason": "read", "verdict": int(word_of(one) in given["context"])}
                    for one in given["statements"]
                ]
            }
        case "ContextRecallOutput":
            return {
                "classifications": [
                    {"statement": one, "reason": "read", "attributed": int(word_of(one) in given["context"])}
                    for one in sentences(given["answer"])
                ]
            }
        case "ContextPrecisionOutput":
            return {
                "reason": "read",
                "verdict": int(any(word_of(s) in given["context"] for s in sentences(given["answer"]))),
            }
        case "AnswerRelevanceOutput":
            evasive = "know" in given["response"]
            return {"question": f"What is {given['response']}?", "noncommittal": int(evasive)}


def word_of(statement):
    return statement.split()[-1].rstrip(".")
