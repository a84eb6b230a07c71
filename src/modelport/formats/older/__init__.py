"""Files of older scikit-learn versions, repaired so that they answer under the installed one as on the day they were saved.

``renames`` says where names have moved, ``notes`` what a file needs, both without importing anything of scikit-learn;
``state`` walks what was unpickled, and the other modules each know one family of estimators.
"""
