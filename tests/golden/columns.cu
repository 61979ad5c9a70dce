// columns
typedef Axis<0, Spread<TW_SPREAD_n>, TW_STEP_n, TW_EVEN_n> Axis_n;
typedef Axis<1, Spread<TW_SPREAD_M>, TW_STEP_M, TW_EVEN_M> Axis_M;
typedef Axes<Axis_n> Axes_n;
typedef Axes<Axis_M, Axis_n> Axes_M_n;

struct Arguments {
    Fault* fault;
    unsigned launch;
    int n_first, n_last, n_programs;
    Tensor<const f32, 2> arg_x;
    Tensor<f32, 1> arg_total;
    Tensor<f32, 1> arg_most;
    Tensor<i32, 1> arg_at_of_kernel;
    Tensor<bool, 1> arg_positive;
    Tensor<bool, 1> arg_small;
    int dim_M;
    int dim_N;
};

extern "C" __global__ void __launch_bounds__(TW_THREADS + TW_PRODUCERS)
columns(const __grid_constant__ Arguments args) {
    // for n in tile(N)
    TW_SHARED(shared);
    (void)shared;
    unsigned program = blockIdx.x;
    Axis_n n;
    n.at(args.n_first + int(program % unsigned(args.n_programs)) * Axis_n::step, args.n_last);
    program /= unsigned(args.n_programs);
    Axis_M M;
    M.at(0, args.dim_M);
    (void)program;
    // let column = x[(.., n)];
    Tile<f32, Axes_M_n> column;
    load<TW_VECTOR_0>(true, column, args.arg_x.data, cast<f32>(0.0f), along(args.arg_x.stride[0], M), along(args.arg_x.stride[1], n));
    Tile<f32, Axes_n> v1;
    reduce<false>(v1, column, M, cast<f32>(0.0f), shared + TW_AT_0,
                  [](f32 a, f32 b) { return add(a, b); });
    // total[n] = column.sum(M);
    store<TW_VECTOR_1>(true, v1, args.arg_total.data, along(args.arg_total.stride[0], n));
    Tile<f32, Axes_n> v2;
    reduce<false>(v2, column, M, Limits<f32>::lowest(), shared + TW_AT_0,
                  [](f32 a, f32 b) { return max_of(a, b); });
    // most[n] = column.max(M);
    store<TW_VECTOR_2>(true, v2, args.arg_most.data, along(args.arg_most.stride[0], n));
    Tile<Found<f32>, Axes_M_n> v3_all;
    each(Axes_M_n, i) v3_all[i] = Found<f32>{column[i], M.index(Axes_M_n::of<Axis_M>(i))};
    Tile<Found<f32>, Axes_n> v3_best;
    reduce<false>(v3_best, v3_all, M, Found<f32>{cast<f32>(0.0f), -1}, shared + TW_AT_0,
                  [](Found<f32> a, Found<f32> b) { return greater(a, b); });
    Tile<i32, Axes_n> v3;
    each(Axes_n, i) v3[i] = v3_best[i].index;
    // at[n] = column.argmax(M);
    store<TW_VECTOR_3>(true, v3, args.arg_at_of_kernel.data, along(args.arg_at_of_kernel.stride[0], n));
    Tile<bool, Axes_M_n> v5;
    each(Axes_M_n, i) v5[i] = (column[i] > 1.5e0f);
    Tile<bool, Axes_n> v6;
    reduce<false>(v6, v5, M, false, shared + TW_AT_0,
                  [](bool a, bool b) { return (a || b); });
    // positive[n] = (column > 1.5).any(M);
    store<TW_VECTOR_4>(true, v6, args.arg_positive.data, along(args.arg_positive.stride[0], n));
    Tile<bool, Axes_M_n> v8;
    each(Axes_M_n, i) v8[i] = (column[i] < 1.9e0f);
    Tile<bool, Axes_n> v9;
    reduce<false>(v9, v8, M, true, shared + TW_AT_0,
                  [](bool a, bool b) { return (a && b); });
    // small[n] = (column < 1.9).all(M);
    store<TW_VECTOR_5>(true, v9, args.arg_small.data, along(args.arg_small.stride[0], n));
}
