class ClosedForm: pass
