// softmax
typedef Axis<0, Spread<TW_SPREAD_m>, TW_STEP_m, TW_EVEN_m> Axis_m;
typedef Axis<1, Spread<TW_SPREAD_N>, TW_STEP_N, TW_EVEN_N> Axis_N;
typedef Axes<Axis_m> Axes_m;
typedef Axes<Axis_m, Axis_N> Axes_m_N;

struct Arguments {
    Fault* fault;
    unsigned launch;
    int m_first, m_last, m_programs;
    Tensor<const TYPE_T, 2> arg_x;
    Tensor<TYPE_T, 2> arg_out;
    int dim_M;
    int dim_N;
};

extern "C" __global__ void __launch_bounds__(TW_THREADS + TW_PRODUCERS)
softmax(const __grid_constant__ Arguments args) {
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
    Tile<TYPE_T, Axes_m_N> row;
    load<TW_VECTOR_0>(true, row, args.arg_x.data, cast<TYPE_T>(0.0f), along(args.arg_x.stride[0], m), along(args.arg_x.stride[1], N));
    Tile<TYPE_T, Axes_m> v1;
    reduce<false>(v1, row, N, Limits<TYPE_T>::lowest(), shared + TW_AT_0,
                  [](TYPE_T a, TYPE_T b) { return max_of(a, b); });
    Tile<f32, Axes_m_N> v2;
    each(Axes_m_N, i) v2[i] = cast<f32>(row[i]);
    Tile<f32, Axes_m> v3;
    each(Axes_m, i) v3[i] = cast<f32>(v1[i]);
    Tile<f32, Axes_m_N> e;
    each(Axes_m_N, i) {
        const f32 v4 = (v2[i] - v3.of<Axes_m_N>(i));
        // let e = exp(row - row.max(N));
        e[i] = exp_of(v4);
    }
    Tile<f32, Axes_m> v6;
    reduce<false>(v6, e, N, cast<f32>(0.0f), shared + TW_AT_0,
                  [](f32 a, f32 b) { return add(a, b); });
    Tile<TYPE_T, Axes_m_N> v8;
    each(Axes_m_N, i) {
        const f32 v7 = (e[i] / v6.of<Axes_m_N>(i));
        v8[i] = cast<TYPE_T>(v7);
    }
    sync_program();
    // out[(m, ..)] = (e / e.sum(N)).cast();
    store<TW_VECTOR_1>(true, v8, args.arg_out.data, along(args.arg_out.stride[0], m), along(args.arg_out.stride[1], N));
}
