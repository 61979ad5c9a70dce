// folded
typedef Axis<0, Spread<TW_SPREAD_m>, TW_STEP_m, TW_EVEN_m> Axis_m;
typedef Axis<1, Spread<TW_SPREAD_N>, TW_STEP_N, TW_EVEN_N> Axis_N;
typedef Axes<Axis_m> Axes_m;
typedef Axes<Axis_N, Axis_m> Axes_N_m;

struct Arguments {
    Fault* fault;
    unsigned launch;
    int m_first, m_last, m_programs;
    Tensor<const i32, 2> arg_x;
    Tensor<i32, 1> arg_bits;
    Tensor<bool, 1> arg_any;
    Tensor<bool, 1> arg_all;
    int dim_M;
    int dim_N;
};

extern "C" __global__ void __launch_bounds__(TW_THREADS + TW_PRODUCERS)
folded(const __grid_constant__ Arguments args) {
    // for m in tile(M)
    TW_SHARED(shared);
    (void)shared;
    unsigned program = blockIdx.x;
    Axis_m m;
    m.at(args.m_first + int(program % unsigned(args.m_programs)) * Axis_m::step, args.m_last);
    program /= unsigned(args.m_programs);
    Axis_N N;
    N.at(0, args.dim_N);
    (void)program;
    // let row = x[(m, ..)];
    Tile<i32, Axes_N_m> row;
    load<1>(true, row, args.arg_x.data, cast<i32>(0.0f), along(args.arg_x.stride[0], m), along(args.arg_x.stride[1], N));
    Tile<i32, Axes_m> v5;
    reduce<true>(v5, row, N, i32(0), shared + TW_AT_0,
                 [&](i32 v2, i32 v3) {
        const i32 v4 = i32(v2 ^ v3);
        return i32(v4);
    });
    // bits[m] = row.fold(N, 0, | a, b | a ^ b);
    store<TW_VECTOR_0>(true, v5, args.arg_bits.data, along(args.arg_bits.stride[0], m));
    Tile<bool, Axes_N_m> v7;
    each(Axes_N_m, i) v7[i] = (row[i] == 3);
    Tile<bool, Axes_m> v8;
    reduce<false>(v8, v7, N, false, shared + TW_AT_0,
                  [](bool a, bool b) { return (a || b); });
    // any[m] = (row == 3).any(N);
    store<TW_VECTOR_1>(true, v8, args.arg_any.data, along(args.arg_any.stride[0], m));
    Tile<bool, Axes_N_m> v10;
    each(Axes_N_m, i) v10[i] = (row[i] != 3);
    Tile<bool, Axes_m> v11;
    reduce<false>(v11, v10, N, true, shared + TW_AT_0,
                  [](bool a, bool b) { return (a && b); });
    // all[m] = (row != 3).all(N);
    store<TW_VECTOR_2>(true, v11, args.arg_all.data, along(args.arg_all.stride[0], m));
}
