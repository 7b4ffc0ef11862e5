"""Hand-written tests use the same model, engine and cache."""


def test_generate_asks_the_candidate_once(project):
    project.pytester.makepyfile(
        test_hand="""
        def test_one(generate, model):
            assert generate("What?", max_new_tokens=5).text == "yes"
            assert generate("What?", max_new_tokens=5).text == "yes"
            assert generate("And?").text == "yes"
            assert model.adapter_sha256
        """
    )
    project.run("test_hand.py", "golden_sets").assert_outcomes(passed=11)
    assert [each for each in project.asked if "generate" in each] == ["candidate:generate"] * 2
    assert len(project.opened) == 2


def test_golden_loads_a_set(project):
    project.pytester.makepyfile(
        test_hand="""
        def test_one(golden):
            assert len(golden("golden_sets/capitals.yaml").cases) == 10
        """
    )
    project.run("test_hand.py", model=False).assert_outcomes(passed=1)


def test_without_a_model_they_skip(project):
    project.pytester.makepyfile(test_hand="def test_one(generate): pass\ndef test_two(model): pass")
    project.run("test_hand.py", model=False).assert_outcomes(skipped=2)


def test_judge_asks_the_judge(project, judge_server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    judge_server.answer = lambda body: {"reason": "short", "pass": False, "grade": 2}
    project.pytester.makepyfile(
        test_hand="""
        import pytest
        from harness.errors import JudgeError

        def test_rubric(judge):
            verdict = judge("Why?", "Because.", rubric="Gives a reason.")
            assert (verdict.passed, verdict.reason) == (False, "short")

        def test_reference(judge):
            assert judge("Why?", "Because.", references=["So that it works."]).value == 2.0

        def test_unknown(judge):
            with pytest.raises(ValueError, match="rubric"):
                judge("Why?", "Because.", task="beauty")
        """
    )
    project.run("test_hand.py", "golden_sets", f"--gate-judge={judge_server.spec}").assert_outcomes(passed=13)
    project.run("test_hand.py", "golden_sets").assert_outcomes(passed=10, skipped=3)


def test_generate_checks_its_settings_like_a_golden_set(project):
    project.pytester.makepyfile(
        test_hand="""
        import pytest
        from harness.errors import SettingsError

        def test_one(generate):
            generate("What?", stop="END")

        @pytest.mark.parametrize("wrong", [{"temperature": -1}, {"top_p": 2}, {"max_new_tokens": 0}, {"stops": "x"}])
        def test_wrong(generate, wrong):
            with pytest.raises(SettingsError, match="generate: "):
                generate("What?", **wrong)
        """
    )
    project.run("test_hand.py", "golden_sets").assert_outcomes(passed=15)
