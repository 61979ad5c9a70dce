// rms_norm
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
    Tensor<TYPE_T, 2> arg_out;
    int dim_M;
    int dim_N;
};

extern "C" __global__ void __launch_bounds__(TW_THREADS + TW_PRODUCERS)
rms_norm(const __grid_constant__ Arguments args) {
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
    Tile<f32, Axes_m_N> v3;
    each(Axes_m_N, i) {
        const f32 v1 = cast<f32>(row[i]);
        const f32 v2 = cast<f32>(row[i]);
        v3[i] = (v1 * v2);
    }
    Tile<f32, Axes_m> v14;
    reduce<false>(v14, v3, N, cast<f32>(0.0f), shared + TW_AT_0,
                  [](f32 a, f32 b) { return add(a, b); });
    const f32 v16 = cast<f32>(args.dim_N);
    Tile<f32, Axes_m> v7;
    each(Axes_m, i) {
        const f32 v4 = (v14[i] / v16);
        const f32 v6 = (v4 + 1e-5f);
        v7[i] = rsqrt_of(v6);
    }
    Tile<TYPE_T, Axes_N> v10;
    load<TW_VECTOR_1>(true, v10, args.arg_g.data, cast<TYPE_T>(0.0f), along(args.arg_g.stride[0], N));
    Tile<f32, Axes_m_N> v9;
    each(Axes_m_N, i) {
        const f32 v8 = cast<f32>(row[i]);
        v9[i] = (v8 * v7.of<Axes_m_N>(i));
    }
    Tile<f32, Axes_N> v11;
    each(Axes_N, i) v11[i] = cast<f32>(v10[i]);
    Tile<TYPE_T, Axes_m_N> v13;
    each(Axes_m_N, i) {
        const f32 v12 = (v9[i] * v11.of<Axes_m_N>(i));
        v13[i] = cast<TYPE_T>(v12);
    }
    sync_program();
    // out[(m, ..)] = (row * rsqrt((row * row).mean(N) + 1e-5) * g[..]).cast();
    store<TW_VECTOR_2>(true, v13, args.arg_out.data, along(args.arg_out.stride[0], m), along(args.arg_out.stride[1], N));
}
