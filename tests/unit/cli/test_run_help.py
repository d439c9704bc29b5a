"""What `meshd run --help` promises of --json."""

from meshd.cli.main import main


def test_help_of_run_does_not_promise_an_object_while_it_runs(capsys):
    main(["run", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "--json what ends it as a JSON object on stdout; while it runs, `meshd status`" in told
