"""The command `fewlabel`: use a trained model, and exchange labels with other tools."""

import argparse

from fewlabel.errors import exit_on_error

MODEL_HELP = "models/classifier.keras, from anywhere"


def main() -> None:
    """Run the command that the command line names."""
    parser = argparse.ArgumentParser(prog="fewlabel", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    predict = commands.add_parser("predict", help="classify images")
    predict.add_argument("model", help=MODEL_HELP)
    predict.add_argument(
        "images", nargs="+", metavar="IMAGE", help="a file, a folder, or - for paths on stdin"
    )
    predict.add_argument("--format", choices=("table", "csv", "json"), default="table")
    predict.add_argument(
        "--top", type=_positive, default=1, metavar="K", help="the K most probable classes of each"
    )
    predict.add_argument(
        "--threshold", type=_share, default=0.0, metavar="P", help="say ? where none is as probable"
    )
    predict.add_argument(
        "--batch-size", type=_positive, default=256, metavar="N", help="images at once"
    )
    predict.set_defaults(run=_predict)

    serve = commands.add_parser("serve", help="classify pictures on a page, and over HTTP")
    serve.add_argument("model", help=MODEL_HELP)
    serve.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other machines in")
    serve.add_argument("--port", type=int, default=8643)
    serve.set_defaults(run=_serve)

    convert = commands.add_parser("export", help="write a model for other programs")
    convert.add_argument("model", help=MODEL_HELP)
    convert.add_argument("--format", choices=("onnx", "savedmodel"), required=True)
    convert.add_argument("target", help="the file (onnx) or folder (savedmodel) to write")
    convert.set_defaults(run=_convert)

    listing = commands.add_parser(
        "list-images", help="write FOLDER.csv, which the pipeline can read in place of the folder"
    )
    listing.add_argument("folder", help="images that DVC is not to hash file by file")
    listing.set_defaults(run=_list)

    export = commands.add_parser(
        "export-tasks", help="write the images without a label as Label Studio tasks"
    )
    export.add_argument("folder", help="where tasks.json and interface.xml go")
    export.set_defaults(run=_export)

    read = commands.add_parser("import-labels", help="add labels from Label Studio's JSON or a CSV")
    read.add_argument("file", help="a CSV with the columns image and label, or a JSON export")
    read.set_defaults(run=_import)

    settle = commands.add_parser(
        "settle-labels", help="keep one of the labels that different people gave an image"
    )
    settle.add_argument(
        "whose", metavar="latest|NAME", help="the latest label, or that of the person of this name"
    )
    settle.set_defaults(run=_settle)

    restore = commands.add_parser(
        "restore-labels",
        help="bring back labels that were given here, and that a checkout replaced",
    )
    restore.set_defaults(run=_restore)

    arguments = parser.parse_args()
    with exit_on_error():
        arguments.run(arguments)


def _predict(arguments: argparse.Namespace) -> None:
    from fewlabel.predict import predict

    predict(
        arguments.model,
        arguments.images,
        arguments.format,
        top=arguments.top,
        threshold=arguments.threshold,
        batch_size=arguments.batch_size,
    )


def _serve(arguments: argparse.Namespace) -> None:
    from fewlabel.web.classify import serve

    serve(arguments.model, arguments.host, arguments.port)


def _convert(arguments: argparse.Namespace) -> None:
    from fewlabel.predictor import export

    export(arguments.model, arguments.format, arguments.target)
    print(f"{arguments.target} is written")


def _list(arguments: argparse.Namespace) -> None:
    from fewlabel.datasets.file_list import write_list

    print(write_list(arguments.folder))


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return share


def _positive(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 999999999")
    return int(text)


def _export(arguments: argparse.Namespace) -> None:
    from fewlabel.annotation.exchange import label_studio_interface, label_studio_tasks
    from fewlabel.annotation.queries import read_queries
    from fewlabel.methods import chosen
    from fewlabel.settings import read_params
    from fewlabel.storage import save_json, write
    from fewlabel.web.images import png_reader

    params = read_params()
    queries = read_queries(params)
    read_image = png_reader(chosen("datasets", params.dataset), queries.names, queries.sha256)
    tasks = label_studio_tasks(queries, read_image)
    interface = label_studio_interface(queries.class_names)
    save_json(f"{arguments.folder}/tasks.json", tasks)
    write(
        f"{arguments.folder}/interface.xml",
        lambda path: path.write_text(interface, encoding="utf-8"),
    )
    print(f"{len(tasks)} tasks are in {arguments.folder}/tasks.json")


def _import(arguments: argparse.Namespace) -> None:
    from fewlabel.annotation.exchange import import_labels
    from fewlabel.annotation.person import current_person
    from fewlabel.annotation.queries import read_queries
    from fewlabel.settings import read_params

    n_new = import_labels(arguments.file, read_queries(read_params()), current_person())
    print(f"{n_new} labels are new")


def _settle(arguments: argparse.Namespace) -> None:
    from fewlabel.annotation.annotations import refuse_contradictions
    from fewlabel.annotation.queries import read_queries, settle_labels
    from fewlabel.settings import read_params

    n_settled, unsettled = settle_labels(arguments.whose, read_queries(read_params()))
    print(f"{n_settled} contradictions are settled", flush=True)
    refuse_contradictions(unsettled)


def _restore(_: argparse.Namespace) -> None:
    from fewlabel.annotation.queries import read_queries
    from fewlabel.settings import read_params

    queries = read_queries(read_params())
    lost = queries.lost()
    queries.save(lost)
    print(f"{len(lost)} labels are back")


if __name__ == "__main__":
    main()
