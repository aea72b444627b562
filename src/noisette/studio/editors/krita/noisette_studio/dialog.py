"""The plugin's dialogs."""

from .client import DRAW, FILL, VARY, Options

try:
    from PyQt5 import QtWidgets
except ImportError:  # Krita 6
    from PyQt6 import QtWidgets

TITLE = "Noisette"
MAX_SEED = 2**31 - 1  # of Qt's number field
FIRST = Options("", VARY, "", 0.5, 1, 0)


def ask_address(known):
    """The address of the studio; None if the dialog was closed."""
    label = "Address that noisette studio printed:"
    text, accepted = QtWidgets.QInputDialog.getText(None, TITLE, label, QtWidgets.QLineEdit.EchoMode.Normal, known)
    return text if accepted else None


def ask_options(models, known):
    """What to draw; None if the dialog was closed. `known`: the options of the last time, or None."""
    known = known or FIRST
    dialog = QtWidgets.QDialog()
    dialog.setWindowTitle(TITLE)
    form = QtWidgets.QFormLayout(dialog)
    model = _add_choice(form, "Model", models, known.model)
    action = _add_choice(form, "Do", [DRAW, VARY, FILL], known.action)
    label = QtWidgets.QLineEdit(known.label)
    form.addRow("Label or caption", label)
    strength = _add_number(form, "Strength of vary, %", 1, 100, round(100 * known.strength))
    number = _add_number(form, "Pictures", 1, 8, known.number)
    seed = _add_number(form, "Seed", 0, MAX_SEED, known.seed)
    kinds = QtWidgets.QDialogButtonBox.StandardButton
    buttons = QtWidgets.QDialogButtonBox(kinds.Ok | kinds.Cancel)
    buttons.accepted.connect(dialog.accept)
    buttons.rejected.connect(dialog.reject)
    form.addRow(buttons)
    if not dialog.exec():
        return None
    return Options(
        model.currentText(), action.currentText(), label.text(), strength.value() / 100, number.value(), seed.value()
    )


def show_problem(message):
    """Show a problem."""
    QtWidgets.QMessageBox.warning(None, TITLE, message)


def _add_choice(form, name, values, value):
    field = QtWidgets.QComboBox()
    field.addItems(values)
    if value in values:
        field.setCurrentText(value)
    form.addRow(name, field)
    return field


def _add_number(form, name, least, most, value):
    field = QtWidgets.QSpinBox()
    field.setRange(least, most)
    field.setValue(value)
    form.addRow(name, field)
    return field
