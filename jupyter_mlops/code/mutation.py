"""What is known of calls by name: which change an object in place, which only read it, and whose result shares nothing with it."""

from __future__ import annotations

import ast

from .fits import FITTING_METHODS
from .literals import PLOTTING, dotted, draws, feeds, words

# Methods that change their object, also where their result is used.
_CHANGING = FITTING_METHODS | words(
    "__delitem__ __init__ __next__ __setattr__ __setitem__ add add_module append appendleft apply_gradients assign_sub binomial "
    "choice choices clear close difference_update discard eval_set execute executemany exponential extend extendleft fetchall "
    "fetchmany fetchone fill fill_diagonal gauss get_nowait insert integers intersection_update itemset learn load_state_dict "
    "load_weights move_to_end next normal normalvariate permutation permuted play poisson pop popitem popleft push put put_nowait "
    "randint random randrange read readline readlines register release remove reset resize reverse rotate seed send set set_params "
    "setdefault setfield setflags shuffle sort standard_normal step submit subtract symmetric_difference_update train train_on_batch "
    "uniform update write writelines zero_grad"
)
# Functions that change their first argument.
_CHANGING_FIRST = words(
    "anext copyto delattr exhaust fill_diagonal heapify heappop heappush heappushpop heapreplace insort insort_left insort_right next "
    "place put put_along_axis putmask reload setattr shuffle"
)
# Methods and functions that leave their object and arguments as they are.
_READING = words(
    "abs accuracy_score agg aggregate aic all any apply applymap arange argmax argmin argsort array asarray assign astype "
    "average_precision_score balanced_accuracy_score between bfill bic bool capitalize casefold children classification_report "
    "columns concat concatenate confusion_matrix copy corr corrwith count cov crosstab cumcount cummax cummin cumprod cumsum cut date "
    "decision_function decode deepcopy describe dict diff difference divmod dot drop_duplicates dropna dtypes duplicated element_size "
    "elements encode endswith enumerate eq equals exists explode f1_score feature_names_in_ ffill fillna filter find flatten "
    "float floor format from_dict frozenset ge get get_depth get_dummies get_feature_names_out get_n_leaves get_params get_support "
    "getattr group_by groupby gt hasattr hash head hstack id iloc index info int interpolate intersection inverse_transform isalpha "
    "isdigit isin isinstance isna isnull isnumeric isoformat issubclass item items iterrows itertuples join keys kneighbors kurt "
    "kurtosis le len linspace list log_loss lower lstrip lt mad map mask max mean mean_absolute_error mean_absolute_percentage_error "
    "mean_squared_error median melt memory_usage merge min mode modules most_common n_features_in_ named_children named_parameters "
    "nanmean nbytes ndim ne ngroup nlargest nonzero notna notnull nsmallest numel numpy nunique ones ones_like parameters partition "
    "pct_change pivot pivot_table polyval pow precision_recall_curve precision_score predict predict_log_proba predict_proba prod "
    "qcut quantile query r2_score range rank ravel recall_score replace repr resample reset_index reshape reversed rfind rmse "
    "roc_auc_score roc_curve rolling round rsplit rstrip sample score score_samples select select_dtypes sem set_index shape shift "
    "silhouette_score skew slice sort_index sort_values sorted split splitlines squeeze stack startswith state_dict std str strip sum "
    "summary swapcase tail take test title to_dict to_frame to_list to_numeric to_numpy to_period to_records to_timestamp toarray "
    "tobytes todense tolist total_seconds train_test_split transform transpose tuple type union unique unstack upper value_counts "
    "values var vstack weekday where with_columns zeros zeros_like zip"
)
# Calls whose result holds nothing of their object and arguments.
_FRESH = words(
    "abs accuracy_score agg aggregate all any apply applymap argmax argmin argsort array assign astype average_precision_score "
    "balanced_accuracy_score bincount bool classification_report clip clone concat concatenate confusion_matrix copy corr count cov "
    "crosstab cross_val_predict cross_val_score cross_validate cumprod cumsum cut decision_function deepcopy describe diff digitize dot "
    "drop drop_duplicates dropna equals evaluate exp f1_score factorize fillna fit_predict fit_resample fit_transform float from_dict "
    "get_dummies glob hash histogram hstack id idxmax idxmin input int inverse_transform isin isinstance isna isnull item join kneighbors "
    "learning_curve len linspace listdir log log_loss map mask max mean mean_absolute_error mean_squared_error median melt merge min mode "
    "nlargest norm nsmallest notna notnull nunique ones ones_like open pivot pivot_table precision_recall_curve precision_score predict "
    "predict_log_proba predict_proba prod qcut quantile query r2_score randint randn range recall_score rename replace repr reset_index "
    "roc_auc_score roc_curve round sample score score_samples select_dtypes set_index sort_index sort_values "
    "split sqrt stack startswith std str strip sum to_frame to_numeric tolist train_test_split transform type unique unstack "
    "validation_curve value_counts var vstack where with_columns zeros zeros_like"
)
# Functions of modules that draw from a global random generator or seed it.
_GLOBAL_DRAWS = words(
    "bernoulli beta binomial choice choices exponential gauss integers manual_seed manual_seed_all multinomial normal permutation "
    "poisson rand rand_like randint randint_like randn randn_like random random_sample randperm randrange ranf sample seed "
    "seed_everything set_random_seed set_seed shuffle standard_normal triangular truncated_normal uniform"
)

# They draw from NumPy's global generator unless they are given another; estimators and their fits do so by default.
_DRAWS_UNLESS_SEEDED = FITTING_METHODS | words("cross_val_score cross_validate resample sample train_test_split")

_RANDOM_MODULES = words("L np numpy pl random tf torch")
_SETTINGS = words("chdir filterwarnings putenv set_config set_option set_printoptions setrecursionlimit simplefilter")


def changes_object(call: ast.Call, method: str) -> bool:
    """Whether a method call changes its object in place by its name (also `Tensor.add_`, `ax.set_title`) or by `inplace=`."""
    return (
        method in _CHANGING
        or (method.endswith("_") and not method.startswith("_"))
        or (method.startswith(("set_", "add_")) and method not in ("set_index", "add_prefix", "add_suffix"))
        # Of models: Keras compiles them, PyTorch's `eval()` has no arguments, where that of a frame has an expression.
        or method == "compile"
        or (method == "eval" and not call.args)
        or in_place(call)
    )


def in_place(call: ast.Call) -> bool:
    """Whether `inplace=` is given and not plainly False."""
    return any(item.arg == "inplace" and not (isinstance(item.value, ast.Constant) and not item.value.value) for item in call.keywords)


def changes_first(function: str) -> bool:
    """Whether a function changes its first argument."""
    last = function.rsplit(".", 1)[-1]
    return last in _CHANGING_FIRST or (last.endswith("_") and not last.startswith("_"))


def only_reads(function: str) -> bool:
    """Whether a call leaves what it is called on and what it is given unchanged."""
    if function.endswith(".compile"):
        return function == "re.compile"  # of a Keras model, it changes the model
    return function.rsplit(".", 1)[-1] in _READING or not feeds(function)


def is_fresh(function: str) -> bool:
    """Whether the result of a call shares nothing with what it is called on or given."""
    return function.rsplit(".", 1)[-1] in _FRESH


def is_ambient(call: ast.Call, function: str, discarded: bool, *, of_module: bool) -> bool:
    """Whether a call draws from or seeds a global random generator, or sets what no name holds (options, environment, the folder).

    `of_module` tells whether the first name of the function stands for a module.
    """
    parts = function.split(".")
    generates = len(parts) == 1 or (of_module and parts[0] in _RANDOM_MODULES) or "random" in parts[1 - of_module : -1]
    drawn = generates and parts[-1] in _GLOBAL_DRAWS
    seeds = parts[-1] in {"seed", "manual_seed", "set_seed", "seed_everything", "set_random_seed"}
    sets = discarded and len(parts) > 1 and of_module and feeds(function)
    settings = parts[-1] in _SETTINGS
    unseeded = parts[-1] in _DRAWS_UNLESS_SEEDED and not any(item.arg in {"random_state", "seed"} for item in call.keywords)
    return drawn or seeds or sets or settings or unseeded


def shared(node: ast.expr | None) -> frozenset[str]:
    """Names of objects (and modules) that the value of an expression may be, be a view of, or hold."""
    match node:
        case ast.Name(id=name):
            return frozenset({name})
        case ast.Subscript(slice=ast.Compare() | ast.List() | ast.BinOp(op=ast.BitAnd() | ast.BitOr()) | ast.UnaryOp(op=ast.Invert())):
            return frozenset()  # rows or columns chosen by a mask or a list are copied
        case ast.Attribute(value=value) | ast.Subscript(value=value) | ast.Starred(value=value) | ast.Await(value=value):
            return shared(value)
        case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items) | ast.BoolOp(values=items):
            return _all(*items)
        case ast.Dict(values=items):
            return _all(*items)
        case ast.IfExp(body=body, orelse=orelse):
            return shared(body) | shared(orelse)
        case ast.NamedExpr(target=target, value=value):
            return shared(target) | shared(value)
        case ast.BinOp(left=left, right=right) if isinstance(left, ast.List) or isinstance(right, ast.List):
            return shared(left) | shared(right)
        case ast.Call(func=function, args=arguments, keywords=keywords):
            if is_fresh(dotted(function)):
                return frozenset()
            receiver = shared(function.value) if isinstance(function, ast.Attribute) else frozenset()
            if draws(dotted(function)):
                return receiver & PLOTTING
            if isinstance(function, ast.Attribute) and function.attr in FITTING_METHODS:
                return receiver
            return receiver | _all(*arguments, *(item.value for item in keywords))
        case ast.ListComp(elt=element, generators=generators) | ast.SetComp(elt=element, generators=generators):
            return _comprehended(element, generators)
        case ast.GeneratorExp(elt=element, generators=generators) | ast.DictComp(value=element, generators=generators):
            return _comprehended(element, generators)
    return frozenset()


def owners(node: ast.expr) -> frozenset[str]:
    """Names of the objects (and modules) that a method called on this expression belongs to: `df.loc[0]`, `models.get("a")`."""
    while True:
        match node:
            case ast.Name(id=name):
                return frozenset({name})
            case ast.Attribute(value=value) | ast.Subscript(value=value) | ast.Await(value=value):
                node = value
            case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr not in _FRESH and not attr[:1].isupper():
                node = value
            case ast.IfExp() | ast.BoolOp() | ast.NamedExpr():
                return shared(node)
            case _:
                return frozenset()


def _all(*nodes: ast.expr) -> frozenset[str]:
    return frozenset().union(*(shared(node) for node in nodes))


def _comprehended(element: ast.expr, generators: list[ast.comprehension]) -> frozenset[str]:
    inside = shared(element)
    targets = {name.id for generator in generators for name in ast.walk(generator.target) if isinstance(name, ast.Name)}
    return (inside - targets) | (_all(*(generator.iter for generator in generators)) if inside & targets else frozenset())
