// layer_norm
typedef Axis<0, Spread<TW_SPREAD_m>, TW_STEP_m, TW_EVEN_m> Axis_m;
typedef Axis<1, Spread<TW_SPREAD_N>, TW_STEP_N, TW_EVEN_N> Axis_N;
typedef Axes<Axis_m> Axes_m;
typedef Axes<Axis_N> Axes_N;
typedef Axes<Axis_m, Axis_N> Axes_m_N;

struct Arguments {
    Fault* fault;
    unsigned launch;
    int m_first, m_last, m_programs;
    Tensor<const TYPE_T, 2> arg_x;
    Tensor<const TYPE_T, 1> arg_g;
    Tensor<const TYPE_T, 1> arg_b;
    Tensor<TYPE_T, 2> arg_out;
    int dim_M;
    int dim_N;
    f32 arg_epsilon;
};

extern "C" __global__ void __launch_bounds__(TW_THREADS + TW_PRODUCERS)
layer_norm(const __grid_constant__ Arguments args) {
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
    Tile<f32, Axes_m> v17;
    reduce<false>(v17, row, N, cast<f32>(0.0f), shared + TW_AT_0,
                  [](f32 a, f32 b) { return add(a, b); });
    const f32 v19 = cast<f32>(args.dim_N);
    Tile<f32, Axes_m> v2;
    each(Axes_m, i) v2[i] = (v17[i] / v19);
    Tile<f32, Axes_m_N> centred;
    Tile<f32, Axes_m_N> v5;
    each(Axes_m_N, i) {
        const f32 v3 = cast<f32>(row[i]);
        // let centred = row - row.mean(N);
        centred[i] = (v3 - v2.of<Axes_m_N>(i));
        v5[i] = (centred[i] * centred[i]);
    }
    Tile<f32, Axes_m> v20;
    reduce<false>(v20, v5, N, cast<f32>(0.0f), shared + TW_AT_0,
                  [](f32 a, f32 b) { return add(a, b); });
    const f32 v22 = cast<f32>(args.dim_N);
    Tile<f32, Axes_m> v8;
    each(Axes_m, i) {
        // let variance = (centred * centred).mean(N);
        const f32 variance = (v20[i] / v22);
        const f32 v7 = (variance + args.arg_epsilon);
        v8[i] = rsqrt_of(v7);
    }
    Tile<TYPE_T, Axes_N> v10;
    load<TW_VECTOR_1>(true, v10, args.arg_g.data, cast<TYPE_T>(0.0f), along(args.arg_g.stride[0], N));
    Tile<f32, Axes_m_N> v9;
    each(Axes_m_N, i) v9[i] = (centred[i] * v8.of<Axes_m_N>(i));
    Tile<f32, Axes_N> v11;
    each(Axes_N, i) v11[i] = cast<f32>(v10[i]);
    Tile<TYPE_T, Axes_N> v13;
    load<TW_VECTOR_2>(true, v13, args.arg_b.data, cast<TYPE_T>(0.0f), along(args.arg_b.stride[0], N));
    Tile<f32, Axes_m_N> v12;
    each(Axes_m_N, i) v12[i] = (v9[i] * v11.of<Axes_m_N>(i));
    Tile<f32, Axes_N> v14;
    each(Axes_N, i) v14[i] = cast<f32>(v13[i]);
    Tile<TYPE_T, Axes_m_N> v16;
    each(Axes_m_N, i) {
        const f32 v15 = (v12[i] + v14.of<Axes_m_N>(i));
        v16[i] = cast<TYPE_T>(v15);
    }
    sync_program();
    // out[(m, ..)] = (centred * rsqrt(variance + epsilon) * g[..] + b[..]).cast();
    store<TW_VECTOR_3>(true, v16, args.arg_out.data, along(args.arg_out.stride[0], m), along(args.arg_out.stride[1], N));
}
