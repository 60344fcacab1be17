class Auto: pass
